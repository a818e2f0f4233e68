"""Time projection chambers in liquid argon: from deposits to charge at the anode."""
