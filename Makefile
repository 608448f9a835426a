# Short names for what people type; the work is in scripts/ and CMakePresets.json.
#   TORCH=on|off   with or without the training code, which needs LibTorch (make test; on)
#   SETUP=on|off   whether missing packages are installed (on)
TORCH ?= on
SETUP ?= on
PREFIX ?= /usr/local
SECONDS ?= 60
export SETUP

SOURCES = $(shell git ls-files '*.h' '*.cc')

.PHONY: all train demo test sanitize fuzz install package format check-format tidy clean distclean help

all: ## build vqcodec and its libraries (no LibTorch)
	@scripts/setup.sh test
	@cmake --preset release-notorch >/dev/null
	@cmake --build --preset release-notorch --target product

train: ## build vqtrain (LibTorch)
	@scripts/setup.sh test torch
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target product

demo: ## encode a piece of music, decode it whole and source by source
	@scripts/demo.sh

test: ## build everything and run the tests; TORCH=off leaves the training tests out
	@scripts/test.sh $(TORCH)

sanitize: ## the tests with the address and undefined behaviour sanitizers
	@scripts/setup.sh test museval
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev
	@ctest --preset dev -j 2

fuzz: ## run every fuzzer for SECONDS seconds
	@scripts/setup.sh dev
	@scripts/fuzz.sh $(SECONDS)

install: all ## install programs, libraries and models under PREFIX
	@cmake --install build/release-notorch --prefix $(PREFIX)

package: all ## make a .tar.gz and a .deb under build/release-notorch
	@scripts/setup.sh package
	@cd build/release-notorch && cpack -G "TGZ;DEB"

format: ## format the C++ code
	@scripts/setup.sh dev
	@clang-format -i $(SOURCES)

check-format: ## say which files are not formatted
	@scripts/setup.sh dev
	@clang-format --dry-run -Werror $(SOURCES)

tidy: ## lint the C++ code (all but the training code)
	@scripts/setup.sh dev
	@scripts/tidy.sh

clean: ## remove what was built
	@rm -rf build demo-out

distclean: clean ## remove the folders of LibTorch and museval as well
	@rm -rf .venv .venv-eval

help: ## say this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24
