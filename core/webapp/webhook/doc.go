// Package webhook takes what forges tell of pushes and of new repositories, and
// makes the matching Lorries or listings due.
//
// It must not look into a body before the sender has shown the secret of that
// webhook, and must not let a webhook do anything but make something due that
// is known already.
package webhook
