package childproc

// ToleratedFaults are the faults of objects, by the names that git fsck gives
// them, that harm nobody and that old histories have: they are told and let
// pass, wherever an object comes from.
func ToleratedFaults() []string { return toleratedFaults() }
