# ltskeeper: what can be made. `make` alone says so.

PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null)

# For people who are not root, and for sudo, which forgets where Go is.
export PATH := $(PATH):/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin
export CGO_ENABLED := 0
export GO

go_build = $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'
# The build machine, as Debian calls it.
native = $$($(GO) env GOARCH | sed 's/^386$$/i386/; s/^arm$$/armhf/')

.PHONY: help build man test boot demo pictures bench lint figures install deb clean

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## bin/ltskeeper and its companions, static binaries
	@scripts/need build
	$(go_build) -o bin/ ./cmd/...

man: ## bin/man/*, the manual pages
	@scripts/need build
	scripts/man bin/man

test: ## pass every test, against real sshd, ssh and squashfs-tools
	@scripts/need test
	$(GO) test ./...

boot: ## boot a client without a disk from the tutorial's farm, in qemu: some minutes (as root)
	@CI=true scripts/need test
	@scripts/need boot
	$(GO) test ./docs -count=1 -v -timeout 40m -run 'TestBoot$$' -boot

demo: build ## run the main job before your eyes (CHROOT=/srv/ltsp/x86_64 for a real client root)
	@scripts/need demo
	@demo/run "$(CHROOT)"

pictures: build ## docs/pictures/*.svg, what the programs look like (as root)
	@scripts/need pictures
	@docs/pictures/make

bench: build ## measure it against the tools it stands in for (TREE=/path, PAIRS=5, BENCH=image)
	@scripts/need bench
	@bench/run

lint: ## gofmt, go vet, staticcheck, and this module's own rules (internal/lint)
	@scripts/need build
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l .) && test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; } >&2
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) run ./internal/lint

figures: ## figures about names, comments and sizes of the Go in here
	@scripts/need build
	@$(GO) run ./internal/lint --figures

install: build man ## into DESTDIR and PREFIX (/usr/local); CLIENTS="amd64 i386" if clients are of another kind
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin bin/ltskeeper
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/sbin bin/ldminfod
	for arch in $(or $(CLIENTS),$(native)); do \
		case $$arch in i386) export GOARCH=386 GO386=softfloat ;; armhf) export GOARCH=arm ;; *) export GOARCH=$$arch ;; esac; \
		$(go_build) -o bin/client/$$arch/ ./cmd/get_hosts ./cmd/ldmselect && \
		install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/ltskeeper/client/$$arch bin/client/$$arch/* || exit; \
	done
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/ltskeeper dist/mail-failure
	@dist/install '$(DESTDIR)' '$(PREFIX)'

deb: ## packages for Debian, in bin/deb; for clients of CLIENTS="amd64 arm64 armhf i386"
	@scripts/need build
	@CLIENTS="$(or $(CLIENTS),amd64 arm64 armhf i386)" VERSION='$(VERSION)' dist/deb/build

clean: ## forget what was built
	rm -rf bin
