// Package importer does what the program lorry does for one Lorry: it reads
// the source that the specification names into the working area and pushes
// what changed to the Downstream Host, refs one by one, forced only where the
// specification or the section allows it. Nothing that was good is given up
// for a failure.
//
// It must not know the run queue or the STATEDB: a request comes in, a report
// goes out.
package importer
