package wire_test

import (
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
)

// TestContractOnlyGrows compares the contract with testdata/v1.binpb, which is
// the first one that was given to others and is never made anew: an adapter
// that was built against it must go on working. Its like for another major
// version is a file of its own.
func TestContractOnlyGrows(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/v1.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	files.RangeFilesByPackage("lorry.adapter.v1", func(old protoreflect.FileDescriptor) bool {
		for i := range old.Messages().Len() {
			compareMessage(t, old.Messages().Get(i))
			compared++
		}
		for i := range old.Enums().Len() {
			compareEnum(t, old.Enums().Get(i))
			compared++
		}
		for i := range old.Services().Len() {
			compareService(t, old.Services().Get(i))
			compared++
		}
		return true
	})
	if compared < 30 {
		t.Errorf("only %d things were compared", compared)
	}
}

// current finds what has the same name today.
func current[D protoreflect.Descriptor](t *testing.T, old D) (D, bool) {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(old.FullName())
	now, ok := found.(D)
	if err != nil || !ok {
		t.Errorf("%s is gone", old.FullName())
	}
	return now, ok
}

func compareMessage(t *testing.T, old protoreflect.MessageDescriptor) {
	t.Helper()
	now, ok := current(t, old)
	if !ok {
		return
	}
	for i := range old.Fields().Len() {
		was := old.Fields().Get(i)
		is := now.Fields().ByNumber(was.Number())
		switch {
		case is == nil:
			t.Errorf("%s is gone", was.FullName())
		case is.Name() != was.Name() || is.Kind() != was.Kind() || is.Cardinality() != was.Cardinality() || is.HasPresence() != was.HasPresence():
			t.Errorf("%s has become %s %v %v", was.FullName(), is.FullName(), is.Cardinality(), is.Kind())
		case was.Message() != nil && is.Message().FullName() != was.Message().FullName():
			t.Errorf("%s has become a %s", was.FullName(), is.Message().FullName())
		}
	}
}

func compareEnum(t *testing.T, old protoreflect.EnumDescriptor) {
	t.Helper()
	now, ok := current(t, old)
	if !ok {
		return
	}
	for i := range old.Values().Len() {
		was := old.Values().Get(i)
		if is := now.Values().ByNumber(was.Number()); is == nil || is.Name() != was.Name() {
			t.Errorf("%s is gone or has another number", was.FullName())
		}
	}
}

func compareService(t *testing.T, old protoreflect.ServiceDescriptor) {
	t.Helper()
	now, ok := current(t, old)
	if !ok {
		return
	}
	for i := range old.Methods().Len() {
		was := old.Methods().Get(i)
		is := now.Methods().ByName(was.Name())
		if is == nil || is.Input().FullName() != was.Input().FullName() || is.Output().FullName() != was.Output().FullName() ||
			is.IsStreamingServer() != was.IsStreamingServer() || is.IsStreamingClient() != was.IsStreamingClient() {
			t.Errorf("%s is gone or has changed", was.FullName())
		}
	}
}
