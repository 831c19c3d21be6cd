# Lorry Controller: everything a developer or a machine runs.
# The variables may be set on the command line, as in: make test PKG=./core/...

GO       ?= go
GOTEST   ?= $(GO) test
TOOL     := $(GO) tool -modfile=tools/go.mod
PKG      ?= ./core/... ./sdk/... ./plugins/... ./cmd/... .
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
DATA     ?= var
TESTFLAGS ?= -timeout 20m
FUZZ     ?= core sdk plugins
DEBIAN   := git openssh-client openssh-server postgresql chromium strace ca-certificates python3-grpcio git-svn subversion apache2-bin libapache2-mod-svn mercurial git-lfs cvs git-cvs cvsps brz python3-fastimport prometheus xz-utils zstd lzip ncompress curl lighttpd maven default-jdk-headless docker.io iptables

.DEFAULT_GOAL := help
.PHONY: help deps build man run test race lint fmt generate check integration soak fuzz bench bench-queue bench-api bench-import clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what the tests need beyond Go, git and make (Debian, root)
	@missing=""; for p in $(DEBIAN); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then echo "all Debian packages are there"; \
	else apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; fi
	$(GO) mod download
	$(GO) -C tools mod download
	tools/gerrit

build: ## build every program into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

man: build ## man pages of every program and completions of lorryctl, into bin/man/
	@mkdir -p bin/man
	@for p in lorry lorry-controller lorry-minion; do bin/$$p --manual >bin/man/$$p.1 || exit 1; done
	@bin/lorryctl man bin/man >/dev/null
	@for s in bash zsh fish; do bin/lorryctl completion $$s >bin/man/lorryctl.$$s || exit 1; done
	@echo "written to bin/man/: try man -l bin/man/lorry-controller.1"

run: build ## build, then start the embedded default in var/ (RUN="--mirror URL" for more)
	exec bin/lorry-controller run --data $(DATA) $(RUN)

test: ## unit, component, contract and browser tests
	$(GOTEST) $(TESTFLAGS) $(PKG)

race: ## the same for core, sdk and plugins, with the race detector
	$(GOTEST) -race $(TESTFLAGS) ./core/... ./sdk/... ./plugins/...

integration: build ## whole programs, real servers
	$(GOTEST) $(TESTFLAGS) ./integration/...

lint: ## golangci-lint, buf lint, and whether the contract only grows
	$(TOOL) golangci-lint run ./...
	cd sdk/proto && $(GO) tool -modfile=../../tools/go.mod buf lint
	cd sdk/proto && $(GO) tool -modfile=../../tools/go.mod buf breaking --against ../internal/wire/testdata/v1.binpb

fmt: ## format every Go file
	$(TOOL) gofumpt -w arch_test.go cmd core integration plugins sdk

generate: ## make generated code anew
	cd sdk/proto && $(GO) tool -modfile=../../tools/go.mod buf generate

check: ## generated code fresh, formatting, lint, import rules
	@tools/fresh
	@out=$$($(TOOL) gofumpt -l arch_test.go cmd core integration plugins sdk); \
	[ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }
	$(MAKE) lint
	$(GO) mod tidy -diff
	$(GO) test -count=1 .

soak: ## the long versions of the randomised tests, then five minutes of fuzzing for each target
	LORRY_TEST_SOAK=1 $(GOTEST) $(TESTFLAGS) -count=1 -timeout 12h ./core/... ./sdk/... ./plugins/... ./integration/...
	FUZZTIME=$${FUZZTIME:-5m} GO="$(GO)" tools/fuzz $(FUZZ)

fuzz: ## every parser's fuzz target for a minute (FUZZTIME=60s FUZZ="core sdk plugins")
	GO="$(GO)" tools/fuzz $(FUZZ)

bench-queue: ## the run queue beside the bare databases, p99 of the claims (LORRY_BENCH_LORRIES, LORRY_BENCH_STEADY)
	LORRY_BENCH_LORRIES=$${LORRY_BENCH_LORRIES:-1000,100000,1000000} LORRY_BENCH_STEADY=$${LORRY_BENCH_STEADY:-10m} \
	$(GO) test -run '^$$' -bench Queue -benchtime 1x -timeout 4h -v ./core/statedb

bench-api: ## the HTTP API beside the bare queue and beside empty handlers (LORRY_BENCH_LORRIES=100000)
	$(GO) test -run '^$$' -bench API -benchtime 20000x -timeout 1h ./core/daemon
	$(GO) test -run '^$$' -bench 'Wake|Events' -benchtime 100x -timeout 1h ./core/daemon

bench-import: build ## imports and unchanged passes beside plain git (LORRY_BENCH_LARGE=REPO:REPO, LORRY_BENCH_ROUNDS=3)
	LORRY_BENCH_PROGRAM=$(CURDIR)/bin/lorry $(GO) test -run '^$$' -bench . -benchtime $${LORRY_BENCH_ROUNDS:-3}x -timeout 4h ./integration/importbench

bench: ## benchmarks, each beside its floor
	$(GO) test -run '^$$' -bench . -benchtime 2s ./core/... ./sdk/...

clean: ## remove what was built (var/ is yours and stays)
	rm -rf bin coverage.out
