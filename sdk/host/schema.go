package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/internal/value"
)

// Diagnose checks settings against what the adapter has described, without
// asking it: unknown ones, missing ones, and values of the wrong type. It works
// for adapters in any language, whatever they check themselves. No diagnostic
// has a value of a secret in it.
func (d Description) Diagnose(s Settings) []sdk.Diagnostic {
	given, err := structpb.NewStruct(s.Values)
	if err != nil {
		return []sdk.Diagnostic{{Severity: sdk.SeverityError, Summary: fmt.Sprintf("the settings can't be sent: %v", err)}}
	}
	values := given.AsMap()
	c := complaints{role: s.Role}
	c.unknown(d, values, s.Secrets)
	for _, setting := range d.Settings {
		if setting.Type == secretType {
			c.secret(setting, s.Secrets)
		} else {
			c.value(setting, values[setting.Name])
		}
	}
	return c.list
}

// complaints collects what is wrong with settings.
type complaints struct {
	role sdk.Role
	list []sdk.Diagnostic
}

func (c *complaints) add(path, detail, format string, args ...any) {
	c.list = append(c.list, sdk.Diagnostic{Severity: sdk.SeverityError, Path: path, Summary: fmt.Sprintf(format, args...), Detail: detail})
}

// unknown finds settings that the adapter does not have, and secrets among them.
func (c *complaints) unknown(d Description, values map[string]any, secrets map[string]sdk.Secret) {
	var names []string
	types := map[string]string{}
	for _, s := range d.Settings {
		names = append(names, s.Name)
		types[s.Name] = s.Type
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch types[name] {
		case "":
			c.add(name, "the settings are "+strings.Join(names, ", "), "there is no setting %q", name)
		case secretType:
			c.add(name, "give it as a reference to a file, a credential or a variable", "%q is a secret and must not stand among the settings", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if types[name] != secretType {
			c.add(name, "the settings are "+strings.Join(names, ", "), "there is no secret setting %q", name)
		}
	}
}

func (c *complaints) secret(s Setting, secrets map[string]sdk.Secret) {
	if secrets[s.Name].Empty() && c.needs(s) {
		c.add(s.Name, s.Doc, "%q is missing", s.Name)
	}
}

func (c *complaints) value(s Setting, given any) {
	if given == nil {
		if s.Default == "" && c.needs(s) {
			c.add(s.Name, s.Doc, "%q is missing", s.Name)
		}
		return
	}
	decoded, fact := value.Decode(settingTypes()[s.Type], s.OneOf, given)
	list, isList := decoded.([]string)
	switch {
	case fact != "":
		c.add(s.Name, s.Doc, "%q %s", s.Name, fact)
	case c.needs(s) && (decoded == "" || isList && len(list) == 0):
		c.add(s.Name, s.Doc, "%q is empty", s.Name)
	}
}

// needs reports whether a setting must be given in the role.
func (c *complaints) needs(s Setting) bool {
	return s.Required && (len(s.Roles) == 0 || slices.Contains(s.Roles, c.role))
}
