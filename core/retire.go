package core

// RetirePolicy says what becomes of the repository on the Downstream Host when
// its Lorry goes away. Nothing is ever deleted there.
type RetirePolicy string

const (
	// RetireByDefault leaves it to the setting downstream-retire.
	RetireByDefault RetirePolicy = ""
	// RetireLeave leaves the repository as it is.
	RetireLeave RetirePolicy = "leave"
	// RetireArchive makes it read-only by the host's own means; it is made
	// writable again when its Lorry comes back.
	RetireArchive RetirePolicy = "archive"
)
