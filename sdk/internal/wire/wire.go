// Package wire holds what both ends of the adapter protocol must agree on
// beside the messages: the handshake, the limits, and the table of error
// kinds. It must not import the SDK or the host side.
package wire

import (
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
)

// PluginName is the one name in the plugin set of every version.
const PluginName = "adapter"

// Version is the newest major version of the protocol.
const Version = 1

// Names of environment variables that the core sets for an adapter.
const (
	// CookieKey is set to CookieValue when the core starts an adapter. It is a
	// hint for people who start one by hand, not a protection.
	CookieKey   = "LORRY_ADAPTER_COOKIE"
	CookieValue = "9f0c1f0f2f6b4f6ea0c1d2b7b3f5a8c4"
	// RunKey is set to a random text that is another one at each start. What the
	// adapter starts inherits it, which is how the core finds what it left.
	RunKey = "LORRY_ADAPTER_RUN"
	// LogLevelKey is the least log level that the core wants to see.
	LogLevelKey = "LORRY_ADAPTER_LOG_LEVEL"
)

// Limits that both sides keep, in bytes unless said otherwise.
const (
	MaxMessage  = 16 << 20
	PageRepos   = 100 // repositories in a page
	MaxPath     = 1024
	MaxURL      = 4096
	MaxText     = 4096
	MaxHint     = 256
	MaxFact     = 1024
	MaxNames    = 64 // settings, capabilities, unsupported wishes
	MaxHostKeys = 64 << 10
	// MaxOptions push options go with an answer, each of at most MaxHint bytes.
	MaxOptions = 16
	// PagePaths is how many paths are checked with one call.
	PagePaths = 1000
)

// MaxSocketBase is how long the path of a directory may be so that a socket in a
// private directory below it has less than the 108 bytes that the system allows:
// "/plugin-dir4294967295/plugin4294967295" is 38 of them.
const MaxSocketBase = 107 - 38

// Handshake is what go-plugin compares before it connects.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{MagicCookieKey: CookieKey, MagicCookieValue: CookieValue}
}

// Kind is one row of the table of error kinds.
type Kind struct {
	Name string
	Kind adapterv1.ErrorKind
	Code codes.Code
}

// Kinds gives the table of error kinds. Rows are only ever added.
func Kinds() []Kind {
	return []Kind{
		{"invalid", adapterv1.ErrorKind_ERROR_KIND_INVALID, codes.InvalidArgument},
		{"unauthenticated", adapterv1.ErrorKind_ERROR_KIND_UNAUTHENTICATED, codes.Unauthenticated},
		{"denied", adapterv1.ErrorKind_ERROR_KIND_DENIED, codes.PermissionDenied},
		{"not-found", adapterv1.ErrorKind_ERROR_KIND_NOT_FOUND, codes.NotFound},
		{"conflict", adapterv1.ErrorKind_ERROR_KIND_CONFLICT, codes.Aborted},
		{"rate-limited", adapterv1.ErrorKind_ERROR_KIND_RATE_LIMITED, codes.ResourceExhausted},
		{"unavailable", adapterv1.ErrorKind_ERROR_KIND_UNAVAILABLE, codes.Unavailable},
		{"read-only", adapterv1.ErrorKind_ERROR_KIND_READ_ONLY, codes.FailedPrecondition},
		{"unsupported", adapterv1.ErrorKind_ERROR_KIND_UNSUPPORTED, codes.Unimplemented},
		{"internal", adapterv1.ErrorKind_ERROR_KIND_INTERNAL, codes.Internal},
	}
}
