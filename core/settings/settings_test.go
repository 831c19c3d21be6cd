package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testTable(t *testing.T) Table {
	t.Helper()
	return Table{
		Program: "prog", Version: "1.2", Usage: "FILE...", Etc: t.TempDir(),
		Options: []Option{
			{Name: "name", Doc: "A name.", Aliases: []string{"old-name"}},
			{Name: "verbose", Short: "v", Kind: Bool, Doc: "Talk."},
			{Name: "working-area", Short: "w", Default: "workd", Doc: "A place."},
			{Name: "count", Kind: Int, Default: "4", Doc: "A number."},
			{Name: "wait", Kind: Duration, Default: "2m", Doc: "A time."},
			{Name: "items", Kind: List, Doc: "Several."},
			{Name: "colour", Choices: []string{"red", "blue"}, Default: "red", Doc: "A colour."},
			{Name: "token", Secret: true, Doc: "A token."},
			{Name: "templates", Unused: "nothing is filled in"},
		},
		KnownEnv: []string{"LORRY_OTHER_*", "LORRY_HOME"},
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// show prints what a test asks of the values.
func show(v *Values) string {
	return fmt.Sprintf("name=%q verbose=%t area=%s count=%d wait=%s items=%q colour=%s token=%q args=%q",
		v.String("name"), v.Bool("verbose"), v.String("working-area"), v.Int("count"), v.Duration("wait"),
		v.List("items"), v.String("colour"), v.Secret("token").Reveal(), v.Args)
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	const rest = ` items=[] colour=red token="" args=[]`
	for _, tt := range []struct {
		name, args, want, err string
	}{
		{name: "defaults", want: `name="" verbose=false area=workd count=4 wait=2m0s` + rest},
		{name: "both forms of value", args: "--name=a --count 7", want: `name="a" verbose=false area=workd count=7 wait=2m0s` + rest},
		{name: "a prefix is enough", args: "--verb --work=x", want: `name="" verbose=true area=x count=4 wait=2m0s` + rest},
		{name: "no takes a boolean back", args: "--verbose --no-verbose", want: `name="" verbose=false area=workd count=4 wait=2m0s` + rest},
		{name: "short forms", args: "-v -w a -wb", want: `name="" verbose=true area=b count=4 wait=2m0s` + rest},
		{name: "an older name", args: "--old-name=z", want: `name="z" verbose=false area=workd count=4 wait=2m0s` + rest},
		{
			name: "a list is repeated, its commas are literal, -- ends the options", args: "f --items=a,b --items c -- --items",
			want: `name="" verbose=false area=workd count=4 wait=2m0s items=["a,b" "c"] colour=red token="" args=["f" "--items"]`,
		},
		{name: "unknown", args: "--nmae=x", err: `no such option: --nmae (did you mean "--name"?); see prog --help`},
		{name: "ambiguous", args: "--co", err: "ambiguous option: --co (--colour, --config, --count?)"},
		{name: "a value is missing", args: "--wo", err: "--working-area needs a value; see prog --help"},
		{name: "bad choice", args: "--colour=green", err: `--colour: "green" is not one of red, blue; see prog --help`},
		{name: "bad number", args: "--count=-1", err: `--count: "-1" is not a whole number from 0 on`},
		{name: "a boolean takes no value", args: "--verbose=yes", err: "--verbose takes no value"},
		{name: "unknown short", args: "-x", err: "no such option: -x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := testTable(t).Parse(strings.Fields(tt.args), nil)
			if tt.err != "" {
				var usage *UsageError
				if err == nil || !errors.As(err, &usage) {
					t.Fatalf("got %v, want a usage error with %q", err, tt.err)
				}
				if !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %q, want it to have %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, text, want, warning, err string
	}{
		{
			name: "INI as Python reads it", file: "a.conf",
			text: "# comment\n[other]\nwhat = ever\n[config]\nNAME: 100%% of\n   two lines\n; comment\nverbose = YES\nitems = a, \"b,c\",\n  d\n",
			want: "name=\"100% of\\ntwo lines\" verbose=true area=workd count=4 wait=2m0s items=[\"a\" \"b,c\" \"d\"] colour=red token=\"\" args=[]",
		},
		{
			name: "INI refers to other variables", file: "a.conf",
			text: "[DEFAULT]\nhost = example.com\n[config]\nname = ssh://%(host)s/%(colour)s\ncolour = blue\n",
			want: `name="ssh://example.com/blue" verbose=false area=workd count=4 wait=2m0s items=[] colour=blue token="" args=[]`,
		},
		{
			name: "YAML", file: "a.yaml",
			text: "other: 1\nconfig:\n  name: x\n  verbose: on\n  count: 9\n  wait: 90\n  items: [a, 'b,c']\n",
			want: `name="x" verbose=true area=workd count=9 wait=1m30s items=["a" "b,c"] colour=red token="" args=[]`,
		},
		{name: "unknown variable", file: "a.conf", text: "[config]\n\nnmae = 1\n", err: `a.conf:3: unknown configuration variable "nmae" (did you mean "name"?)`},
		{name: "unknown variable in YAML", file: "a.yaml", text: "config:\n  xyzzy: 1\n", err: `a.yaml:2: unknown configuration variable "xyzzy"`},
		{name: "config is no variable", file: "a.conf", text: "[config]\nconfig = /b\n", err: `a.conf:2: unknown configuration variable "config"`},
		{name: "bad value", file: "a.conf", text: "[config]\nwait = soon\n", err: `a.conf:2: wait: "soon" is not a time`},
		{name: "bad secret is not shown", file: "a.conf", text: "[config]\ntoken = 50%x\n", err: `a.conf:2: token: "%" must be followed by "%"`},
		{name: "no section", file: "a.conf", text: "name = 1\n", err: "a.conf:1: there is no section header"},
		{name: "no delimiter", file: "a.conf", text: "[config]\nname\n", err: `a.conf:2: expected "name = value"`},
		{name: "reference to nothing", file: "a.conf", text: "[config]\nname = %(no)s\n", err: "a.conf:2: name: %(no)s names no variable"},
		{name: "reference to itself", file: "a.conf", text: "[config]\nname = %(name)s\n", err: "refers to itself"},
		{name: "YAML that is no mapping", file: "a.yaml", text: "- 1\n", err: "a.yaml:1: expected a mapping"},
		{name: "broken YAML", file: "a.yaml", text: "config: [\n", err: "a.yaml:1: did not find expected node content"},
		{
			name: "warnings", file: "a.conf", text: "[config]\ntemplates = /usr/share\nverbose = maybe\n",
			want:    `name="" verbose=false area=workd count=4 wait=2m0s items=[] colour=red token="" args=[]`,
			warning: "a.conf:2: templates has no effect: nothing is filled in|a.conf:3: verbose: \"maybe\" is neither yes nor no; no is used",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := write(t, tt.file, tt.text)
			v, err := testTable(t).Parse([]string{"--config", file}, nil)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(v)); diff != "" {
				t.Error(diff)
			}
			warnings := strings.ReplaceAll(strings.Join(v.Warnings, "|"), filepath.Dir(file)+"/", "")
			if diff := cmp.Diff(tt.warning, warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOrderOfSources(t *testing.T) {
	t.Parallel()
	table := testTable(t)
	home := t.TempDir()
	for name, text := range map[string]string{"prog.conf": "name = etc\nworking-area = etc\ncount = 1\nitems = etc", "prog.yaml": "count = 2"} {
		text = "[config]\n" + text
		if strings.HasSuffix(name, ".yaml") {
			text = "config: {count: 2}"
		}
		if err := os.WriteFile(filepath.Join(table.Etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, ".prog.conf"), []byte("[config]\nworking-area = home\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	extra := write(t, "x.conf", "[config]\ncolour = blue\n")
	env := []string{"HOME=" + home, "LORRY_WAIT=7", "LORRY_TEST_REQUIRE=git", "LORRY_OTHER_X=1", "LORRY_HOME=/x", "LORRY_ADDR=127.0.0.1:1", "LORRY_ITEMS=e,f", "LORRY_COLOUR=red"}

	v, err := table.Parse([]string{"--config=" + extra, "--items=g", "--colour=blue"}, env)
	if err != nil {
		t.Fatal(err)
	}
	want := `name="etc" verbose=false area=home count=2 wait=7s items=["g"] colour=blue token="" args=[]`
	if diff := cmp.Diff(want, show(v)); diff != "" {
		t.Error(diff)
	}
	v, err = table.Parse([]string{"--no-default-configs"}, env[:2])
	if err != nil {
		t.Fatal(err)
	}
	want = `name="" verbose=false area=workd count=4 wait=7s items=[] colour=red token="" args=[]`
	if diff := cmp.Diff(want, show(v)); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreToldTogether(t *testing.T) {
	t.Parallel()
	file := write(t, "a.conf", "[config]\nnope = 1\ncount = x\n")
	_, err := testTable(t).Parse([]string{"--config=" + file, "--config=/does/not/exist", "--what"}, []string{"LORRY_NAEM=1"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`:2: unknown configuration variable "nope"`, `:3: count: "x" is not a whole number`,
		"configuration file /does/not/exist can't be read", "no such option: --what",
		`environment variable LORRY_NAEM is no setting of prog (did you mean "LORRY_NAME"?)`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%s", want, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	secret := write(t, "token", "s3cret\n")
	for _, tt := range []struct {
		name, want, err string
		args, env       []string
	}{
		{name: "from a file", args: []string{"--token-file=" + secret}, want: "s3cret"},
		{name: "from a file that a variable names", env: []string{"LORRY_TOKEN_FILE=" + secret}, want: "s3cret"},
		{name: "the last word counts", args: []string{"--token=own"}, env: []string{"LORRY_TOKEN_FILE=" + secret}, want: "own"},
		{name: "missing file", args: []string{"--token-file=/does/not/exist"}, err: "--token-file: open /does/not/exist"},
		{name: "empty file", args: []string{"--token-file=/dev/null"}, err: "--token-file: /dev/null is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := testTable(t).Parse(append(tt.args, "--dump-config"), tt.env)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Secret("token").Reveal(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			var out strings.Builder
			if _, err := v.Inform(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), tt.want) || !strings.Contains(out.String(), "token = [secret]") {
				t.Errorf("the dump shows the secret or hides the option:\n%s", out.String())
			}
			if n := len(v.Secrets()); n != 1 {
				t.Errorf("got %d secrets, want 1", n)
			}
		})
	}
}

func TestInform(t *testing.T) {
	t.Parallel()
	file := write(t, "a.conf", "[config]\nname = 5%% https://me:pw@example.com\nitems = a, \"b,c\"\n")
	broken := write(t, "b.conf", "not a configuration\n")
	for _, tt := range []struct {
		name string
		args []string
		want string // a line of the output; with "!" one that is missing
	}{
		{name: "help", args: []string{"--help"}, want: "Usage: prog [options] FILE..."},
		{name: "help needs no files", args: []string{"--help", "--config=" + broken}, want: "  -v, --verbose, --no-verbose"},
		{name: "help leaves out what has no effect", args: []string{"--help"}, want: "!  --templates=VALUE"},
		{name: "help-all does not", args: []string{"--help-all"}, want: "  --templates=VALUE"},
		{name: "version", args: []string{"--version"}, want: "prog 1.2"},
		{name: "names", args: []string{"--dump-setting-names"}, want: "working-area"},
		{name: "files", args: []string{"--list-config-files", "--config=" + file}, want: file},
		{name: "dump", args: []string{"--dump-config", "--config=" + file}, want: "name = 5%% https://me:[secret]@example.com"},
		{name: "dump of a list", args: []string{"--dump-config", "--config=" + file}, want: `items = a, "b,c"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := testTable(t).Parse(tt.args, nil)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if asked, err := v.Inform(&out); !asked || err != nil {
				t.Fatal(asked, err)
			}
			line, missing := strings.CutPrefix(tt.want, "!")
			if strings.Contains("\n"+out.String(), "\n"+line+"\n") == missing {
				t.Errorf("want %q in:\n%s", tt.want, out.String())
			}
		})
	}
}

func TestInformWritesToOutput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out")
	v, err := testTable(t).Parse([]string{"--version", "--output", file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	if asked, err := v.Inform(&stdout); !asked || err != nil || stdout.Len() > 0 {
		t.Fatal(asked, err, stdout.String())
	}
	got, err := os.ReadFile(file)
	if diff := cmp.Diff("prog 1.2\n", string(got)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	sizes := map[string]int64{"0": 0, "100M": 100_000_000, "1k": 1000, "2 KiB": 2048, "1.5g": 1_500_000_000, "1ti": 1 << 40, "7b": 7}
	for text, want := range sizes {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("size %q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "5x", "3i", "1e99t"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("size %q: got %d, want an error", text, got)
		}
	}
	times := map[string]time.Duration{"3600": time.Hour, "0": 0, "1.5h": 90 * time.Minute, "2 d": 48 * time.Hour, "5M": 5 * time.Minute, "9s": 9 * time.Second}
	for text, want := range times {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("duration %q: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "h", "-1", "NaN", "1e300", "soon"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("duration %q: got %s, want an error", text, got)
		}
	}
}

func FuzzINI(f *testing.F) {
	f.Add("[config]\na = b\n c\n%%(x)s = %(a)s\n")
	f.Add("[DEFAULT]\nx=%(x)s\n[config]\ny:%(x)s%")
	f.Fuzz(func(t *testing.T, text string) {
		vars, _, errs := parseINI("f", []byte(text))
		for _, v := range vars {
			if v.line < 1 {
				t.Errorf("%q has no line", v.name)
			}
		}
		for _, err := range errs {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("%q names no line", err)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add("config:\n  a: [b, c]\n  d: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, errs := parseYAML("f", []byte(text))
		for _, err := range errs {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("%q does not name the file", err)
			}
		}
	})
}
