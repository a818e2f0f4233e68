"""Tables of prices: the one that ships, changes to it, one of the user's own; and budgets in money."""

import json
import re

import numpy as np
import pytest

from studio import InputError, LocalRunner, Study, load_detector, optimise, replace
from studio.design import audit
from studio.detector import cost, shipped_sensor_types
from studio.study import read_costs, read_experiment, shipped_costs
from studio.study.assembly import assemble
from studio.study.checking import check_file
from tests.stand_in import TANK, StandIn

EXPERIMENT = """\
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 400 MeV], direction: isotropic, count: 4}
free: {sensors.uv: {}, volume.radius: {between: [1.5 m, 2.5 m]}, volume.height: {between: [3 m, 5 m]}}
objective: [{kind: vertex_resolution}]
constraints:
  - {kind: budget, at_most: 100 kUSD}
  - {kind: minimum_spacing, at_least: 0.6 m}
optimiser: {learning_rate: 0.03, steps: 3}
validation: {events: 0}
""".splitlines()

TABLE = """\
currency: EUR
year: 2021
sensors:
  r3600_20_inch: {price: 1 kEUR, channels: 2, source: assumed}
channel: {price: 10 EUR, source: assumed}
excavation: {price: 100 EUR/m3, source: assumed}
media:
  water: {price: 0 EUR/m3, source: it rains}
""".splitlines()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tank.yaml").write_text(TANK)
    (tmp_path / "costs.yaml").write_text("\n".join(TABLE))
    return tmp_path


def written(folder, *changes: tuple[int, str]):
    """The experiment with lines (from 1) replaced, or added behind the last one."""
    lines = [*EXPERIMENT, ""]
    for line, text in changes:
        lines[line - 1] = text
    (folder / "study.yaml").write_text("\n".join(lines))
    return folder / "study.yaml"


def test_the_table_that_ships_prices_every_type_and_says_where_from():
    costs = shipped_costs()
    assert set(costs.table.sensors) == {entry.name for entry in shipped_sensor_types()}
    assert (costs.currency, costs.table.year) == ("USD", 2024)
    entries = [*costs.table.sensors.values(), *costs.table.media.values(), costs.table.channel, costs.table.excavation]
    assert all(re.search(r"assumed|\b(19|20)\d\d\b", entry.source) for entry in entries)
    # 3,000 USD of 2001 with US consumer prices, as its source says, within rounding to hundreds.
    assert costs.table.sensors["r3600_20_inch"].price.amount == pytest.approx(3000 * 313.7 / 177.1, abs=200)


def test_a_file_stands_alone_and_entries_change_the_table_that_ships(folder):
    detector = load_detector(folder / "tank.yaml")
    count, volume = detector.sensors.count, np.pi * 2**2 * 4
    assert count == 16
    own = cost(detector, read_costs(folder / "costs.yaml").prices)
    assert float(own.total) == pytest.approx(count * 1000 + 2 * count * 10 + 100 * volume, rel=1e-12)
    changed = read_experiment(written(folder, (10, "costs: {excavation: {price: 7 USD/m3, source: assumed}}"))).costs
    shipped, found = (cost(detector, one.prices) for one in (shipped_costs(), changed))
    assert float(found.excavation) == pytest.approx(7 * volume, rel=1e-12)
    assert float(found.channels) == float(shipped.channels) == 16 * 300
    named = read_experiment(written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: budget}")))
    assert named.costs.prices == read_costs(folder / "costs.yaml").prices


def test_what_it_costs_is_part_of_a_check(folder):
    report = check_file(folder / "tank.yaml")["cost"]
    volume = np.pi * 2**2 * 4
    assert report["unit"] == "MUSD"
    assert report["sensors"] == {"r3600_20_inch": pytest.approx(16 * 5200 / 1e6, rel=1e-12)}
    assert report["total"] == pytest.approx((16 * 5500 + 700 * volume) / 1e6, rel=1e-12)
    file = written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: budget, at_most: 20 kEUR}"))
    report = check_file(file)
    assert (report["cost"]["unit"], report["cost"]["year"]) == ("MEUR", 2021)
    (row,) = (row for row in report["baseline_constraints"] if row["name"] == "budget")
    assert (row["unit"], row["limit"], row["satisfied"]) == ("MEUR", 0.02, False)
    assert row["value"] == pytest.approx((16 * 1020 + 100 * volume) / 1e6, rel=1e-12)


def test_the_baselines_budget_area_and_volume(folder):
    extra = "  - {kind: sensitive_area}\n  - {kind: fixed_volume}"
    assembly = assemble(read_experiment(written(folder, (6, f"  - {{kind: budget}}\n{extra}"))), StandIn())
    rows = {row.name: row for row in audit(assembly.baseline, assembly.constraints).rows}
    assert rows["budget"].limit == pytest.approx((16 * 5500 + 700 * np.pi * 16) / 1e6, rel=1e-12)
    assert rows["sensitive_area"].limit == pytest.approx(16 * np.pi * 0.254**2, rel=1e-12)
    assert (rows["fixed_volume"].unit, rows["fixed_volume"].limit) == ("m3", pytest.approx(np.pi * 16, rel=1e-12))
    # A flat tank of the same volume keeps all three; a larger one breaks two of them.
    flat = replace(assembly.baseline, {"volume.radius": 2500.0, "volume.height": 4000.0 * 4 / 6.25})
    assert all(row.satisfied for row in audit(flat, assembly.constraints).rows[:3])
    larger = replace(assembly.baseline, {"volume.radius": 2100.0})
    assert audit(larger, assembly.constraints).violated == ("budget", "fixed_volume")


def test_a_study_over_budget_ends_within_it_and_keeps_its_prices(folder):
    """The baseline costs 16 x 1,020 EUR and 5,027 EUR for the hole; 20,000 EUR mean a smaller tank."""
    file = written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: budget, at_most: 20 kEUR}"))
    with LocalRunner(1) as runner:
        solution = Study.from_file(file, physics=StandIn()).run(folder / "run", runner=runner, check_gradient=False)
    (row,) = (row for row in solution.audit if row["name"] == "budget")
    assert row["satisfied"]
    assert row["unit"] == "MEUR"
    spent = float(cost(solution.detector, read_costs(folder / "costs.yaml").prices).total)
    assert spent == pytest.approx(1e6 * row["value"], rel=1e-9)
    assert spent <= 20_000 * (1 + 1e-4)  # ten times below what the audit allows
    (folder / "costs.yaml").unlink()
    kept = read_experiment(folder / "run" / "experiment.yaml")
    assert kept.costs.prices.sensors[0].price == 1000.0
    stored = json.loads((folder / "run" / "study.json").read_text())["experiment"]["costs"]
    assert stored["excavation"] == {"price": "100 EUR/m3", "source": "assumed"}


def test_a_budget_that_the_volume_forbids_is_named_with_it(folder):
    """The tubes of the tank cost 88,000 USD, the hole 35,000: with 110,000 it must be smaller, which a fixed volume forbids."""
    both = "  - {kind: budget, at_most: 110 kUSD}\n  - {kind: fixed_volume}"
    file = read_experiment(written(folder, (6, both)))
    assembly = assemble(file, StandIn())
    still = lambda detector: (detector.volume.radius - 2000.0) ** 2  # noqa: E731
    result = optimise(assembly.baseline, assembly.free, still, assembly.constraints)
    assert "the constraints 'budget' and 'fixed_volume' cannot be satisfied together" in result.status.reason
    assert result.tree is None
    without = [one for one in assembly.constraints if one.name != "fixed_volume"]
    result = optimise(assembly.baseline, assembly.free, still, without, steps=30)
    assert result.audit.feasible
    assert result.audit.rows[0].value <= 0.11 * (1 + 1e-4)


def test_sensors_keep_out_of_a_manhole(folder):
    """The manhole is where a sensor of the top stands in the baseline; its face leaves it, and the clearance, on the wall."""
    top = load_detector(folder / "tank.yaml").placed.positions
    x, y, z = np.asarray(top)[np.argmax(np.asarray(top)[:, 2])] / 1000
    region = f"{{kind: ball, centre: [{x} m, {y} m, {z} m], radius: 30 cm}}"
    keep_out = f"  - {{kind: keep_out, clearance: 5 cm, regions: [{region}]}}"
    file = written(folder, (3, "free: {sensors.uv: {}}"), (6, keep_out))
    (row, *_) = check_file(file)["baseline_constraints"]
    assert (row["name"], row["unit"], row["limit"], row["satisfied"]) == ("keep_out", "mm", 50.0, False)
    assert row["value"] == pytest.approx(-300 - 254, abs=1e-6)
    with LocalRunner(1) as runner:
        solution = Study.from_file(file, physics=StandIn()).run(folder / "run", runner=runner, check_gradient=False)
    positions, _, radii = (np.asarray(array) for array in solution.detector.placed)
    gaps = np.linalg.norm(positions - 1000 * np.array([x, y, z]), axis=1) - radii - 300
    assert solution.audit[0]["satisfied"]
    assert solution.audit[0]["value"] == pytest.approx(gaps.min(), rel=1e-9)
    assert gaps.min() >= 50 * (1 - 1e-3)


@pytest.mark.parametrize(
    ("line", "text", "key", "said"),
    [
        (6, "  - {kind: budget, at_most: 12.5}", "constraints.0.at_most", "without a currency.*'12.5 MUSD'"),
        (6, "  - {kind: budget, at_most: 12.5 M}", "constraints.0.at_most", "'M' is not a currency"),
        (6, "  - {kind: budget, at_most: 12.5 MUDS}", "constraints.0.at_most", "Did you mean 'USD'"),
        (6, "  - {kind: budget, at_most: -3 MUSD}", "constraints.0.at_most", "zero or positive"),
        (6, "  - {kind: budget, at_most: .nan}", "constraints.0.at_most", "without a currency"),
        (6, "  - {kind: budget, at_most: 12.5 m2}", "constraints.0.at_most", "not an amount of money"),
        (6, "  - {kind: budget, at_most: 3 MEUR}", "constraints.0.at_most", "in EUR, but the prices are in USD"),
        (6, "  - {kind: budget, at_most: basline}", "constraints.0.at_most", "'baseline' or for example"),
        (6, "  - {kind: sensitive_area, at_most: 120}", "constraints.0.at_most", "area without a unit.*'120 m2'"),
        (6, "  - {kind: sensitive_area, at_most: 1 m}", "constraints.0.at_most", "'m' is not a unit of area"),
        (6, "  - {kind: sensitive_area, at_most: 0 m2}", "constraints.0.at_most", "must be positive"),
        (6, "  - {kind: fixed_volume, at_most: 3 m}", "constraints.0.at_most", "unknown key"),
        (7, "  - {kind: budget, at_most: 1 MUSD}", "constraints.1", "stands twice"),
        (6, "  - {kind: keep_out}", "constraints.0.regions", "is missing"),
        (6, "  - {kind: keep_out, regions: []}", "constraints.0.regions", "at least 1"),
        (6, "  - {kind: keep_out, regions: [{kind: disc}]}", "constraints.0.regions.0.kind", "ball, pipe, box"),
        (
            6,
            "  - {kind: keep_out, regions: [{kind: ball, centre: [0, 0, 0], radius: 1 m}]}",
            "constraints.0.regions.0.centre",
            "length without a unit",
        ),
        (
            6,
            "  - {kind: keep_out, regions: [{kind: ball, centre: [0 m, 0 m, 2 m], radius: -1 m}]}",
            "constraints.0.regions.0.radius",
            "must be positive",
        ),
        (
            6,
            "  - {kind: keep_out, regions: [{kind: box, centre: [0 m, 0 m, 2 m], size: [1 m, 1 m]}]}",
            "constraints.0.regions.0.size",
            "at least 3 items",
        ),
        (
            6,
            "  - {kind: keep_out, clearance: 5, regions: [{kind: ball, centre: [0 m, 0 m, 2 m], radius: 1 m}]}",
            "constraints.0.clearance",
            "length without a unit",
        ),
        (
            6,
            "  - {kind: keep_out, regions: [{kind: pipe, through: [0 m, 0 m, 0 m], along: [0, 0, 0], radius: 1 m}]}",
            "constraints.0.regions.0.along",
            "length zero",
        ),
        (10, "costs: prices.yaml", "costs", "no such file.*prices.yaml"),
        (10, "costs: {excavation: {price: 7 USD/m3}}", "costs.excavation.source", "is missing"),
        (10, "costs: {excavation: {price: 7 USD, source: x}}", "costs.excavation.price", "not a price per m3"),
        (10, "costs: {excavation: {price: 7 EUR/m3, source: x}}", "costs.excavation.price", "EUR among prices in USD"),
        (10, "costs: {excavaton: {price: 7 USD/m3, source: x}}", "costs.excavaton", "Did you mean 'excavation'"),
        (10, "costs: {year: 2020}", "costs.year", "that of the table that ships"),
        (10, "costs: {currency: EUR, year: 2020}", "costs.channel", "stands alone"),
    ],
)
def test_malformed_experiments(folder, line, text, key, said):
    file = written(folder, (line, text))
    with pytest.raises(InputError) as caught:
        read_experiment(file)
    error, message = caught.value, str(caught.value)
    assert error.key == key, message
    assert (error.file, error.line) == (str(file), line), message
    assert error.remedy, message
    assert re.search(said, message, re.S), message


@pytest.mark.parametrize(
    ("line", "text", "key", "said"),
    [
        (4, "  r3600_20_inch: {price: -1 kEUR, source: x}", "sensors.r3600_20_inch.price", "zero or positive.*-1 kEUR"),
        (4, "  r3600_20_inch: {price: 1000, source: x}", "sensors.r3600_20_inch.price", "money without a currency"),
        (4, "  r3600_20_inch: {price: 1 kUSD, source: x}", "sensors.r3600_20_inch.price", "USD among prices in EUR"),
        (
            4,
            "  r3600_20_inch: {price: 1 kEUR, channels: -1, source: x}",
            "sensors.r3600_20_inch.channels",
            "at least 0",
        ),
        (4, "  r3600_20_inch: 1 kEUR", "sensors.r3600_20_inch", "expected a mapping"),
        (5, "chanel: {price: 10 EUR, source: assumed}", "chanel", "Did you mean 'channel'"),
        (1, "currency: DM", "currency", "not one of the allowed values.*EUR"),
        (2, "year: 21", "year", "at least 1900"),
        (2, "", "year", "is missing"),
        (6, "excavation: {price: 100 EUR/m2, source: x}", "excavation.price", "not a price per m3.*'600 USD/m3'"),
        (7, "media: [", None, "YAML"),
    ],
)
def test_malformed_tables(folder, line, text, key, said):
    (folder / "costs.yaml").write_text("\n".join([*TABLE[: line - 1], text, *TABLE[line:]]))
    with pytest.raises(InputError) as caught:
        read_experiment(written(folder, (10, "costs: costs.yaml")))
    error, message = caught.value, str(caught.value)
    assert error.file == str(folder / "costs.yaml"), message
    assert error.remedy, message
    assert re.search(said, message, re.S), message
    if key is not None:
        assert error.key == key, message
        assert error.line == (line if text else None), message


def test_a_price_of_what_does_not_exist_is_refused_where_it_stands(folder):
    for line, text, key, said in (
        (4, "  r3600_20_inhc: {price: 1 EUR, source: x}", "sensors.r3600_20_inhc", "Did you mean 'r3600_20_inch'"),
        (8, "  watre: {price: 1 EUR/m3, source: x}", "media.watre", "Did you mean 'water'"),
    ):
        (folder / "costs.yaml").write_text("\n".join([*TABLE[: line - 1], text, *TABLE[line:]]))
        with pytest.raises(InputError, match=said) as caught:
            assemble(read_experiment(written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: budget}"))), StandIn())
        assert (caught.value.file, caught.value.line, caught.value.key) == (str(folder / "costs.yaml"), line, key)


def test_a_sensor_without_a_price_is_refused_only_where_a_budget_needs_it(folder):
    table = [*TABLE[:3], "  multi_pmt_19: {price: 1 EUR, source: x}", *TABLE[4:]]
    (folder / "costs.yaml").write_text("\n".join(table))
    with pytest.raises(InputError, match="this sensor type has no price.*r3600_20_inch") as caught:
        assemble(read_experiment(written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: budget}"))), StandIn())
    assert (caught.value.key, caught.value.line) == ("constraints.0", 6)
    report = check_file(written(folder, (10, "costs: costs.yaml"), (6, "  - {kind: sensitive_area}")))
    assert "r3600_20_inch" in report["cost"]["problem"]
