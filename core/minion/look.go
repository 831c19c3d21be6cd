package minion

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// looker reads an upstream's refs without starting lorry, which is most of the
// work of a job that finds nothing new.
type looker struct {
	git    *childproc.Git
	reader *lsrefs.Reader
}

// newLooker makes a looker that keeps git's private files in home.
func newLooker(home string) (*looker, error) {
	git, err := childproc.NewGit(childproc.GitOptions{Home: home})
	if err != nil {
		return nil, err
	}
	return &looker{git: git, reader: lsrefs.NewReader(git)}, nil
}

func (l *looker) close() { l.reader.Close() }

// look reports whether upstream's refs are those of the last verified push; the
// report is that of a job with nothing to do then. Anything else, a failure
// too, is lorry's to find and to tell.
func (w *worker) look(ctx context.Context, job protocol.Job) (protocol.ImportReport, bool) {
	if w.looker == nil || job.Digest == "" {
		return protocol.ImportReport{}, false
	}
	specs, _ := spec.Parse("", []byte(job.Text))
	if len(specs) != 1 || specs[0].Name != job.Path {
		return protocol.ImportReport{}, false
	}
	request := w.importRequest(job)
	return importer.Look(ctx, importer.Options{
		WorkingArea: w.area.dir, Spec: specs[0], Request: &request, Git: w.looker.git, Reader: w.looker.reader, Log: w.Log,
	})
}
