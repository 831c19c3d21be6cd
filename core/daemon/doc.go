// Package daemon is the composition root of the core: it builds every part
// from the settings, starts and stops them in order, runs the upkeep, and
// holds the commands of lorry-controller.
//
// It must decide nothing that a part could decide: no scheduling rule, no SQL,
// no parsing. What it adds is order, lifetime and wiring.
package daemon
