// Package importbench holds benchmarks of imports as a whole, each beside what
// a user could run instead: make bench-import.
package importbench
