# What one does with this project: `make help` lists it.
# It needs Rust, Go, a C compiler and make; everything else is built or installed by the targets that need it.

IMG ?= ghcr.io/llm-operator/llm-operator:$(VERSION)
NAMESPACE ?= llm-operator-system
KUBECTL ?= kubectl
HELM ?= helm
CONTAINER_TOOL ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))))

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
HOST := $(shell rustc -vV 2>&1 | sed -n 's/^host: //p')
ifeq ($(HOST),)
$(error there is no Rust on PATH: install it from https://rustup.rs and open a new shell)
endif

ifeq ($(shell command -v cc),)
$(error there is no C compiler on PATH: on Debian or Ubuntu, apt-get install gcc libc6-dev)
endif

# Everything is built static where that is possible, tests included: then the operator's program that the tests are built
# with is also the one that goes into their image, and no dependency is compiled twice. An explicit target keeps the flag
# from build scripts and macros, which cannot be static. Not with link-time optimisation: only `make docker-build` takes that time.
ifneq ($(filter %-linux-gnu,$(HOST)),)
ifneq ($(shell cc -print-file-name=libc.a 2>&1),libc.a)
export CARGO_BUILD_TARGET := $(HOST)
# Once only: a make that a recipe calls inherits it, and other flags are another build.
ifeq ($(findstring +crt-static,$(RUSTFLAGS)),)
export RUSTFLAGS := $(strip $(RUSTFLAGS) -C target-feature=+crt-static)
endif
endif
endif

TARGET_DIR = $(shell cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
PROFILES = $(TARGET_DIR)/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)
PROGRAMS = $(PROFILES)debug
CLUSTER = $(PROGRAMS)/cluster
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/llm-operator
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CHECK_CRATES = $(CARGO_DENY) --workspace check --hide-inclusion-graph -D warnings
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := $(CACHE)/cargo/cargo-cyclonedx-$(CYCLONEDX_VERSION)/bin/cargo-cyclonedx

# Only what is written on make's command line counts: a KUBECONFIG that happens to be set must not get a demonstration installed.
given = $(if $(filter command,$(firstword $(origin $(1)))),$($(1)))
OWN_CLUSTER = $(if $(call given,KUBECONFIG),--kubeconfig '$(call given,KUBECONFIG)')

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test soak build run generate manifests lint chart-test bench clean tools \
	install uninstall deploy undeploy docker-build docker-push dist reproducible advisories release root programs test-programs

##@ First steps

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile

demo: $(if $(OWN_CLUSTER),,root) programs ## Start a real cluster, install the chart, ask a model (KUBECONFIG=... IMG=...: in a cluster of yours)
	@$(CLUSTER) demo --operator $(PROGRAMS)/llm-operator $(OWN_CLUSTER) $(if $(call given,IMG),--image '$(call given,IMG)')

demo-down: programs ## Remove everything that `make demo` made
	@$(CLUSTER) demo-down $(OWN_CLUSTER)

test: test-programs tools ## Run every test, those on real clusters included
	@$(CLUSTER) --name test with -- tests/lanes.sh

soak: test-programs tools ## Break everything for as long as it takes to be sure, with both Helms, and write docs/reliability.md (an hour)
	@LLM_OPERATOR_SOAK=1 $(CLUSTER) --name test with -- cargo test --workspace --no-fail-fast \
		--test reliability --test install --test faults --test fuzz -- --show-output

##@ Development

build: ## Build the operator, without optimisation
	cargo build --package llm-operator

run: ## Run the operator on this machine against the cluster of your kubeconfig (ARGS=...)
	cargo run --package llm-operator -- run $(ARGS)

generate: programs ## Write everything that is generated: CRDs, pages, the chart's schema and README
	@UPDATE_GOLDEN=1 cargo test --quiet --workspace --test crds --test docs --test examples --test seeds >/dev/null
	@$(CLUSTER) generate

manifests: generate

lint: ## Check format, lints, licences and the chart
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@$(MAKE) --no-print-directory $(CARGO_DENY)
	$(CHECK_CRATES) bans licenses sources
	@$(MAKE) --no-print-directory test-programs
	"$$($(CLUSTER) tools --path helm4)" lint --strict --quiet charts/llm-operator

chart-test: ## Test the chart: Helm 3 and 4, its schema, its unit tests, its objects
	cargo test --package cluster --test chart

bench: ## Measure everything and write docs/performance.md (20 min; ARGS=--only=admission: a part; ARGS=--short: a try)
	@echo "building the operator as it is shipped, and the benchmarks (the first time takes about 15 min)"
	@$(MAKE) --no-print-directory dist
	@cargo build --quiet --locked --profile bench --workspace --bins --bench handlers
	@rm -rf $(TARGET_DIR)/criterion/handlers
	cargo bench --quiet --locked --workspace --bench handlers -- --quiet
	$(PROFILES)release/cluster --name bench bench --operator $(SHIPPED) \
		--criterion $(TARGET_DIR)/criterion $(ARGS)

tools: programs ## Build the tools that the tests use, once per version and user
	@$(CLUSTER) tools --tests

clean: ## Remove what cargo built here (not the tools, which all clones share: they are in ~/.cache/llm-operator)
	cargo clean

##@ A cluster of yours, the one of your kubeconfig

install: ## Install the CustomResourceDefinitions alone
	$(KUBECTL) apply --server-side -f crds/
	@# So that a later `make deploy` takes them up as its own.
	$(KUBECTL) label --overwrite -f crds/ app.kubernetes.io/managed-by=Helm
	$(KUBECTL) annotate --overwrite -f crds/ meta.helm.sh/release-name=llm-operator meta.helm.sh/release-namespace=$(NAMESPACE)

uninstall: ## Remove the CustomResourceDefinitions, once no object of theirs is left
	@left="$$($(KUBECTL) get -f crds/ -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}' --ignore-not-found | \
		while read -r crd; do $(KUBECTL) get "$$crd" --all-namespaces --no-headers 2>/dev/null; done)"; \
	if [ -n "$$left" ]; then \
		echo "these objects would be deleted with their kinds; delete them first:"; echo "$$left"; exit 1; \
	fi
	$(KUBECTL) delete --ignore-not-found -f crds/

deploy: ## Install the operator with Helm (IMG=...)
	$(HELM) upgrade --install llm-operator charts/llm-operator --namespace $(NAMESPACE) --create-namespace --wait \
		--set-string image.registry= --set-string image.repository=$(IMG_REPOSITORY) --set-string image.tag=$(IMG_TAG)

undeploy: ## Remove the operator; objects, claims and CustomResourceDefinitions stay
	$(HELM) uninstall llm-operator --namespace $(NAMESPACE) --wait

# The tag of an image is what follows the last colon after the last slash.
IMG_REPOSITORY = $(shell echo '$(IMG)' | sed 's|:[^:/]*$$||')
IMG_TAG = $(shell echo '$(IMG)' | sed -n 's|.*:\([^:/]*\)$$|\1|p')

##@ Image

docker-build: $(if $(CARGO_BUILD_TARGET),dist) ## Build the operator's image with docker, podman or buildah (IMG=...)
	@$(if $(CONTAINER_TOOL),,echo "there is no docker, podman or buildah on PATH: install one of them"; exit 1)
ifneq ($(CARGO_BUILD_TARGET),)
	@mkdir -p $(IMAGE_CONTEXT) && cp $(SHIPPED) $(IMAGE_CONTEXT)/
	$(CONTAINER_TOOL) $(if $(filter buildah,$(CONTAINER_TOOL)),bud --isolation chroot --timestamp 0,build) --target prebuilt \
		-f Dockerfile -t $(IMG) $(IMAGE_CONTEXT)
else
	$(CONTAINER_TOOL) $(if $(filter buildah,$(CONTAINER_TOOL)),bud,build) -f Dockerfile -t $(IMG) .
endif

IMAGE_CONTEXT = $(TARGET_DIR)/image
SHIPPED = $(TARGET_DIR)/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)dist/llm-operator

docker-push: ## Push it (IMG=...)
	$(CONTAINER_TOOL) push $(IMG)

##@ Release

# Where pointers stand in the program takes half a MiB, which glibc has been able to read packed since 2.36.
ifneq ($(CARGO_BUILD_TARGET),)
ifeq ($(shell (echo glibc 2.36; getconf GNU_LIBC_VERSION) | sort -CV && echo packs),packs)
PACKED = -C link-arg=-Wl,-z,pack-relative-relocs
endif
endif

# The folders of this machine are no part of the program: every clone makes the same bytes with the same Rust.
dist: ## Build the program that is shipped
	@cargo fetch --locked --quiet
	@flags='$(strip $(RUSTFLAGS) $(PACKED)) --remap-path-prefix=$(CURDIR)=/src --remap-path-prefix=$(TARGET_DIR)=/target'; \
	for crates in "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*; do flags="$$flags --remap-path-prefix=$$crates=/crates"; done; \
	RUSTFLAGS="$$flags" cargo build --locked --profile dist --package llm-operator

# Not with make's own variable for itself, whose lines run even where nothing is to be done (--dry-run).
reproducible: ## Build it twice, from clones in two folders, and compare (15 min)
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	for clone in one another/deeper; do \
		git clone --quiet . "$$work/$$clone" && \
		env -u MAKEFLAGS CARGO_TARGET_DIR="$$work/$$clone/target" make --no-print-directory -C "$$work/$$clone" dist && \
		mv "$$work/$$clone/$(patsubst $(TARGET_DIR)/%,target/%,$(SHIPPED))" "$$work/$$(basename $$clone).program" && \
		rm -rf "$$work/$$clone" || exit 1; \
	done; \
	sha256sum "$$work/one.program" "$$work/deeper.program" && cmp "$$work/one.program" "$$work/deeper.program" && \
	echo "both clones made the same bytes"

ADVISORIES = https://github.com/rustsec/advisory-db

advisories: $(CARGO_DENY) ## Look for the crates in the list of known vulnerabilities, where it can be reached
	@if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --quiet $(ADVISORIES) HEAD >/dev/null 2>&1; then \
		$(CHECK_CRATES) advisories; \
	else \
		echo "advisories: skipped, since $(ADVISORIES) cannot be reached"; \
	fi

release: advisories dist programs $(CYCLONEDX) ## Put together what a release consists of, in release/: program, chart, SBOM, checksums
	@rm -rf release && mkdir release
	cp $(SHIPPED) release/llm-operator-$(VERSION)-linux-$(shell uname -m)
	"$$($(CLUSTER) tools --path helm4)" package charts/llm-operator --destination release
	cd / && PATH="$(dir $(CYCLONEDX)):$$PATH" cargo cyclonedx --manifest-path '$(CURDIR)/Cargo.toml' --quiet --format json \
		--no-build-deps --override-filename llm-operator-$(VERSION).cdx
	@sed 's|path+file://$(CURDIR)|path+file:///src|g' llm-operator-$(VERSION).cdx.json > release/llm-operator-$(VERSION).cdx.json
	@rm -f llm-operator-$(VERSION).cdx.json tests/cluster/llm-operator-$(VERSION).cdx.json
	cd release && sha256sum -- * > SHA256SUMS && cat SHA256SUMS
	@echo "docs/release.md says how to sign and publish these"

# Said before anything is built.
root:
	@[ "$$(id -u)" = 0 ] || { echo "real pods need root: sudo env \"PATH=$$PATH\" make demo; or, with a cluster of yours:" \
		"make demo KUBECONFIG=FILE IMG=IMAGE" >&2; exit 1; }

# The programs of the demonstration, and those of the tests: in one call each, since cargo compiles a dependency again for
# every selection of packages that asks it for other features.
programs:
	@echo "building the operator and the test clusters (the first time takes some minutes)"
	@cargo build --quiet --workspace --bins

test-programs:
	@echo "building the tests (the first time takes some minutes)"
	@cargo test --quiet --workspace --no-run
	@cargo build --quiet --workspace --features llm-operator/test-clock --bin llm-operator-test-clock

# Tools of cargo, once per version: cargo-NAME-VERSION/bin/cargo-NAME.
$(CARGO_DENY) $(CYCLONEDX):
	@echo "building $(notdir $(patsubst %/bin/,%,$(dir $@))), once (about 3 min)"
	@mkdir -p $(dir $@)
	@cd / && env -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET -u RUSTFLAGS \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		cargo install --quiet --locked --root $(patsubst %/bin/,%,$(dir $@)) \
		$(notdir $@)@$(patsubst $(notdir $@)-%,%,$(notdir $(patsubst %/bin/,%,$(dir $@))))
