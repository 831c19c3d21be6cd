// Package schedule holds the rules of the run queue: which Lorry comes first,
// when one is due again, how long a failing one is left alone, which of the due
// ones a minion gets, and the sentence that explains why a Lorry waits.
//
// Its functions are pure: they take states and times and return values. It must
// do no I/O, read no clock and keep no state.
package schedule
