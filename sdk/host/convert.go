package host

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lorry-controller/lorry-controller/sdk"
	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

func roleFromProto(r adapterv1.Role) sdk.Role {
	switch r {
	case adapterv1.Role_ROLE_UPSTREAM:
		return sdk.RoleUpstream
	case adapterv1.Role_ROLE_DOWNSTREAM:
		return sdk.RoleDownstream
	default:
		return sdk.RoleUnknown
	}
}

func roleToProto(r sdk.Role) adapterv1.Role {
	switch r {
	case sdk.RoleUpstream:
		return adapterv1.Role_ROLE_UPSTREAM
	case sdk.RoleDownstream:
		return adapterv1.Role_ROLE_DOWNSTREAM
	default:
		return adapterv1.Role_ROLE_UNSPECIFIED
	}
}

func visibilityFromProto(v adapterv1.Visibility) sdk.Visibility {
	switch v {
	case adapterv1.Visibility_VISIBILITY_PRIVATE:
		return sdk.VisibilityPrivate
	case adapterv1.Visibility_VISIBILITY_INTERNAL:
		return sdk.VisibilityInternal
	case adapterv1.Visibility_VISIBILITY_PUBLIC:
		return sdk.VisibilityPublic
	default:
		return sdk.VisibilityUnknown
	}
}

func visibilityToProto(v sdk.Visibility) adapterv1.Visibility {
	switch v {
	case sdk.VisibilityPrivate:
		return adapterv1.Visibility_VISIBILITY_PRIVATE
	case sdk.VisibilityInternal:
		return adapterv1.Visibility_VISIBILITY_INTERNAL
	case sdk.VisibilityPublic:
		return adapterv1.Visibility_VISIBILITY_PUBLIC
	default:
		return adapterv1.Visibility_VISIBILITY_UNSPECIFIED
	}
}

// describe takes over a description, and refuses one that can't be true.
func (c *Client) describe(resp *adapterv1.DescribeResponse) (Description, error) {
	d := Description{
		Name:           resp.GetName(),
		Version:        text.Clean(resp.GetVersion(), wire.MaxHint),
		Summary:        text.Clean(resp.GetSummary(), wire.MaxFact),
		SDKVersion:     text.Clean(resp.GetSdkVersion(), wire.MaxHint),
		Check:          slices.Contains(resp.GetCapabilities(), adapterv1.Capability_CAPABILITY_CHECK),
		AfterPush:      slices.Contains(resp.GetCapabilities(), adapterv1.Capability_CAPABILITY_AFTER_PUSH),
		Retire:         slices.Contains(resp.GetCapabilities(), adapterv1.Capability_CAPABILITY_RETIRE),
		CheckPaths:     slices.Contains(resp.GetCapabilities(), adapterv1.Capability_CAPABILITY_CHECK_PATHS),
		MaxConcurrency: max(int(resp.GetMaxConcurrency()), 0),
	}
	for _, r := range resp.GetRoles() {
		if role := roleFromProto(r); role != sdk.RoleUnknown && !d.Has(role) {
			d.Roles = append(d.Roles, role)
		}
	}
	switch {
	case d.Name == "" || !text.Plain(d.Name) || len(d.Name) > wire.MaxHint:
		return Description{}, sdk.Errorf(sdk.Internal, "the adapter describes itself with the name %q", text.Clean(d.Name, wire.MaxHint))
	case d.Version == "":
		return Description{}, sdk.Errorf(sdk.Internal, "the adapter describes itself without a version")
	case len(d.Roles) == 0:
		return Description{}, sdk.Errorf(sdk.Internal, "the adapter describes itself without a role")
	case len(resp.GetSettings()) > wire.MaxNames:
		return Description{}, sdk.Errorf(sdk.Internal, "the adapter has more than %d settings", wire.MaxNames)
	}
	for _, p := range resp.GetSettings() {
		s := Setting{
			Name: p.GetName(), Doc: text.Clean(p.GetDoc(), wire.MaxFact), Default: text.Clean(p.GetDefaultValue(), wire.MaxText),
			Type: typeName(p.GetType()), Required: p.GetRequired(), OneOf: slices.Clone(p.GetOneOf()),
		}
		if s.Name == "" || s.Type == "" || !text.Plain(s.Name) {
			return Description{}, sdk.Errorf(sdk.Internal, "the adapter has a setting %q without a name or type", text.Clean(s.Name, wire.MaxHint))
		}
		for _, r := range p.GetRoles() {
			s.Roles = append(s.Roles, roleFromProto(r))
		}
		d.Settings = append(d.Settings, s)
	}
	return d, nil
}

// settingTypes are the types of settings under the names that Setting has.
func settingTypes() map[string]adapterv1.SettingType {
	return map[string]adapterv1.SettingType{
		"string":   adapterv1.SettingType_SETTING_TYPE_STRING,
		"bool":     adapterv1.SettingType_SETTING_TYPE_BOOL,
		"int":      adapterv1.SettingType_SETTING_TYPE_INT,
		"duration": adapterv1.SettingType_SETTING_TYPE_DURATION,
		"url":      adapterv1.SettingType_SETTING_TYPE_URL,
		"list":     adapterv1.SettingType_SETTING_TYPE_STRING_LIST,
		secretType: adapterv1.SettingType_SETTING_TYPE_SECRET,
	}
}

const secretType = "secret"

func typeName(t adapterv1.SettingType) string {
	for name, typ := range settingTypes() {
		if typ == t {
			return name
		}
	}
	return ""
}

func settingsToProto(s Settings) (*adapterv1.ConfigureRequest, error) {
	values, err := structpb.NewStruct(s.Values)
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "the settings of %q can't be sent: %w", s.Instance, err)
	}
	req := &adapterv1.ConfigureRequest{
		Instance: s.Instance, Role: roleToProto(s.Role), Values: values, Secrets: map[string][]byte{},
		SkipCertificates: s.SkipCertificates, InsecureCredentials: s.InsecureCredentials,
	}
	for name, secret := range s.Secrets {
		req.Secrets[name] = []byte(secret.Reveal())
	}
	return req, nil
}

func (c *Client) diagnostics(list []*adapterv1.Diagnostic) []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	for _, p := range list[:min(len(list), wire.MaxNames)] {
		d := sdk.Diagnostic{
			Severity: sdk.SeverityError,
			Path:     text.Clean(p.GetPath(), wire.MaxPath),
			Summary:  text.Clean(c.redact.Redact(p.GetSummary()), wire.MaxFact),
			Detail:   text.Clean(c.redact.Redact(p.GetDetail()), wire.MaxFact),
		}
		if p.GetSeverity() == adapterv1.Severity_SEVERITY_WARNING {
			d.Severity = sdk.SeverityWarning
		}
		diags = append(diags, d)
	}
	return diags
}

// repo takes over a repository. A description is for people, so that a secret in
// it is replaced; anywhere else one is the adapter's fault.
func (c *Client) repo(p *adapterv1.Repo) (sdk.Repo, error) {
	for _, field := range []string{p.GetId(), p.GetPath(), p.GetCloneUrl(), p.GetHead(), p.GetChangeHint()} {
		if c.redact.Found(field) {
			return sdk.Repo{}, sdk.Errorf(sdk.Internal, "the answer has a secret in the identity, path, URL, default branch or change hint of %q",
				text.Clean(c.redact.Redact(p.GetPath()), wire.MaxHint))
		}
	}
	return sdk.Repo{
		ID:          p.GetId(),
		Path:        p.GetPath(),
		CloneURL:    p.GetCloneUrl(),
		Head:        p.GetHead(),
		Description: text.Clean(c.redact.Redact(p.GetDescription()), wire.MaxText),
		Visibility:  visibilityFromProto(p.GetVisibility()),
		Archived:    p.GetArchived(),
		Empty:       p.GetEmpty(),
		Fork:        p.GetFork(),
		Disabled:    p.GetDisabled(),
		ChangeHint:  p.GetChangeHint(),
	}, nil
}

// access takes over how to reach a repository; its secret becomes one that is
// kept out of texts.
func (c *Client) access(p *adapterv1.GitAccess) (sdk.Access, error) {
	if c.redact.Found(p.GetUrl()) || len(p.GetSecret()) >= minFound && strings.Contains(p.GetUrl(), string(p.GetSecret())) {
		return sdk.Access{}, sdk.Errorf(sdk.Internal, "the answer has a secret in a URL")
	}
	a := sdk.Access{
		URL: p.GetUrl(), Username: p.GetUsername(), KnownHosts: p.GetKnownHosts(),
		Secret: sdk.NewSecret(string(p.GetSecret())),
	}
	if !a.Secret.Empty() {
		c.redact.issued(a.Secret.Reveal())
	}
	if p.GetExpiresAt().IsValid() {
		a.ExpiresAt = p.GetExpiresAt().AsTime()
	}
	return a, nil
}

func wantToProto(w sdk.Want) *adapterv1.RepoWish {
	p := &adapterv1.RepoWish{Path: w.Path, Visibility: visibilityToProto(w.Visibility), Lfs: w.LFS, Revive: w.Revive}
	if w.Head != "" {
		p.Head = &w.Head
	}
	if description := text.Clean(w.Description, wire.MaxText); description != "" {
		p.Description = &description
	}
	return p
}
