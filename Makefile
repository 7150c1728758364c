# The front door. CMake does the work (CMakePresets.json names the builds); all is put into build/.
# `make help` lists what there is: the words after ## below.

MAKEFLAGS += --no-print-directory
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
STEPS ?= 10000000
JUDGES ?= 5.10 6.1 6.12.43 6.12 6.16 6.17 6.18.5 6.18 6.19 7.0 7.1 7.2 7.3
JUDGE_OPS ?= 100000
ARCH_JUDGES ?= 6.12 7.2
export CMAKE_BUILD_PARALLEL_LEVEL = $(JOBS)

# $(call build,PRESET,configure arguments,build arguments)
# CMake reconfigures by itself when a file appears or goes; what configuring says is shown if it fails.
define build
@mkdir -p build
@cmake --preset $(1) $(2) >build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }
@cmake --build --preset $(1) $(3)
endef

.PHONY: kernel all help demo test fuzz tidy format bench bench-instr single install deps clean
.PHONY: bench-realloc bench-kernel worst stress mutants coverage dev asan tsan release
.PHONY: uninstall freestanding static judges judges-arch

all: release

help: ## this list
	@printf '%-18s%s\n' make 'build/libvas.a and build/vas, as they ship'
	@sed -n 's/^\([a-z-]*\):.*## *\(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf 'make %-13s%s\n' "$$name" "$$what"; \
	done

demo: deps release ## check real programs against the running kernel, draw one
	@scripts/demo build/vas

test: deps ## build and run every test, in every build
	@scripts/test

tidy: dev ## layers, limits, formatting, dead files, documents
	@scripts/deps tidy
	@scripts/tidy build/dev

format: ## clang-format over the .c files
	@scripts/deps tidy
	@scripts/tidy --format

bench: ## vas and the running kernel side by side: a table, build/bench.json, build/move.svg
	@scripts/deps bench
	$(call build,release,,--target vas vas_cli)
	@build/vas bench --json build/bench.json
	@build/vas bench --threads 2
	@scripts/plot build/bench.json build/move.svg
	@echo "a picture of what moves cost: build/move.svg"

worst: ## the worst that a guest can make of each call, into docs/worst-cases.md
	@scripts/deps build
	$(call build,release,,--target vas_cli)
	@build/vas bench --worst all >build/worst-cases.md
	@mv build/worst-cases.md docs/worst-cases.md

stress: ## STEPS calls in threads beside a shadow of every page, over both kinds of page maps
	@scripts/deps
	$(call build,release,,--target test_shadow test_tenants)
	@build/release/tests/test_tenants && VAS_SOFTWARE=1 build/release/tests/test_tenants
	@VAS_SHADOW_STEPS=$(STEPS) build/release/tests/test_shadow
	@VAS_SOFTWARE=1 VAS_SHADOW_STEPS=$(STEPS) build/release/tests/test_shadow

mutants: ## each mend of the order of letting go taken out: which test fails then
	@scripts/deps
	@scripts/mutants $(NAMES)

coverage: deps ## which branches of src/ the tests take: FILES="lock tlb" shows those that none takes
	$(call build,coverage)
	@scripts/coverage build/coverage $(FILES)

bench-instr: ## instructions of the hot paths, into tests/instructions/record.txt
	@scripts/deps instr
	$(call build,release,,--target vas_instr)
	@tests/instructions/count.py --write build/release/tests/instructions/vas_instr

single: ## build/vas.c and build/vas.h: the library as one file of each
	$(call build,release,,--target single)

bench-realloc: release ## what realloc costs beside other mallocs: a table, build/realloc.svg
	@scripts/deps realloc
	@scripts/bench-realloc build | tee build/realloc.md
	@scripts/plot-realloc build/realloc.md build/realloc.svg

kernel: ## the kernel port for three architectures, into build/kernel (clang, lld); `vas boot` runs it
	@scripts/deps kernel
	@for arch in x86_64 riscv64 aarch64; do $(MAKE) -C ports/kernel ARCH=$$arch || exit 1; done

bench-kernel: release kernel static ## the kernel port beside Linux kernels under QEMU, in instructions: a table, docs/bench-kernel.svg
	@scripts/deps boot
	@scripts/deps judge
	@scripts/deps bench
	@scripts/bench-kernel --svg docs/bench-kernel.svg

install: ## into $(DESTDIR)$(PREFIX): headers, archives, program, manual pages, pkg-config, CMake
	@scripts/deps build
	$(call build,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX),--target vas vas_host vas_heap \
		vas_heap_preload vas_cli manual mremap vasmremap)
	@DESTDIR='$(DESTDIR)' cmake --install build/release --strip
	@sed 's|^|$(DESTDIR)|' build/release/install_manifest.txt >build/installed.txt

uninstall: ## what the last make install has put there
	@scripts/uninstall build/installed.txt

deps: ## what is needed beyond compiler, make and cmake (root on Debian: installs it)
	@scripts/deps

clean: ## remove build/
	rm -rf build

dev: deps ## many objects: build/dev
	$(call build,dev)

asan: deps ## as dev, with AddressSanitizer and UndefinedBehaviorSanitizer
	$(call build,asan)

tsan: deps ## as dev, with ThreadSanitizer
	$(call build,tsan)

release:
	@scripts/deps build
	$(call build,release,,--target vas vas_host vas_heap vas_heap_preload vas_cli)

freestanding: ## the core alone, as a kernel would compile it
	$(call build,freestanding)

static: ## the program without shared libraries: build/static/vas
	@scripts/deps build
	$(call build,static,,--target vas_cli)

judges-arch: ## AArch64 (4 and 16 KiB pages) and RISC-V kernels judge: ARCH_JUDGES=7.2, JUDGE_OPS=N
	@scripts/deps cross
	@scripts/deps boot
	@scripts/deps judge
	$(call build,static-aarch64)
	$(call build,static-riscv64)
	@status=0; for arch in arm64 arm64-16k riscv64; do \
		scripts/judge --arch $$arch --ops $(JUDGE_OPS) $(ARCH_JUDGES) || status=1; \
	done; exit $$status

judges: static ## other kernels judge under QEMU: JUDGES="6.1 7.3", JUDGE_OPS=N, or LATEST=1
	@scripts/deps judge
	@scripts/judge --ops $(JUDGE_OPS) --record $(if $(LATEST),--latest,$(JUDGES))

fuzz: ## libFuzzer targets (clang), FUZZ_SECONDS each
	@scripts/deps fuzz
	$(call build,fuzz)
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS)
