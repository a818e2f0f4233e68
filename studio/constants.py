"""Physical constants in the studio's units (mm, ns, MeV). Source: CODATA 2018 and PDG 2022 unless said otherwise."""

SPEED_OF_LIGHT = 299.792458  # mm/ns, exact
FINE_STRUCTURE = 7.2973525693e-3
ELECTRON_MASS = 0.51099895  # MeV
MUON_MASS = 105.6583755  # MeV
PION_MASS = 139.57039  # MeV
PROTON_MASS = 938.27208816  # MeV
BETHE_K = 0.307075  # MeV cm2/mol, 4 pi N_A r_e^2 m_e c^2 (PDG 2022, table 34.1)
