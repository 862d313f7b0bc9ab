# Dormouse: `make help` lists what there is to do. The steps are scripts under Tests/steps.

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 30
BENCH ?=
TURNS ?=
CONSTRAINTS ?=
GREEDY ?=
MODEL ?= examples/models/dormouse-tiny
BUILD := swift build -c release

.PHONY: help demo build test real-models install uninstall manual arm architecture bench turns versions sanitize accuracy service greedy constraints format lint fuzz
.DEFAULT_GOAL := help

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

demo: ## install what is missing, build, and answer a question
	@Tests/steps/requirements.sh build
	@$(MAKE) --no-print-directory build
	@Tests/steps/demo.sh $(MODEL)

build: ## build the library and the command line in release mode
	@echo "== Building (release)"
	@$(BUILD)

test: ## install what is missing, build, and run the tests
	@Tests/steps/all.sh

install: ## install into PREFIX (/usr/local), under DESTDIR
	@test -x .build/release/dormouse || $(MAKE) --no-print-directory build
	@Tests/steps/install.sh "$(DESTDIR)" "$(PREFIX)"

uninstall: ## remove what `make install` has put into PREFIX, under DESTDIR
	@Tests/steps/uninstall.sh "$(DESTDIR)" "$(PREFIX)"

manual: ## write the manual page, docs/dormouse.1, from the command's own description of itself
	@test -x .build/release/dormouse || $(MAKE) --no-print-directory build
	@python3 Tests/steps/manual.py .build/release/dormouse docs/dormouse.1

architecture: ## draw docs/architecture.svg, after a change of the modules or of Tests/ArchitectureTests/floors.py
	@python3 Tests/ArchitectureTests/picture.py docs/architecture.svg

real-models: ## compare with others on published weights and tokenizers, as far as they can be had
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Tests/steps/real-models.sh

arm: ## compile the kernels for 64-bit Arm, and run them under an emulator
	@Tests/steps/requirements.sh test
	@Tests/check-neon.sh

sanitize: ## run the tests of sessions and of the cache under ThreadSanitizer and AddressSanitizer
	@Tests/steps/requirements.sh test
	@Tests/steps/sanitize.sh

bench: ## time Dormouse beside llama.cpp; BENCH="--help" lists options, BENCH="--quick" is a quick look
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh compare $(BENCH)

turns: ## decode by Dormouse and llama.cpp in turns within one process; TURNS="--help" lists options
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh turns $(TURNS)

versions: ## time two built checkouts in turns; VERSIONS="FOLDER FOLDER", VERSIONS="--help" lists options
	@Benchmarks/run.sh versions $(VERSIONS)

accuracy: ## measure what int8 and int4 weights cost in accuracy
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh accuracy

service: ## measure sessions side by side, shared prefixes, forks; SERVICE="--help" lists options
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh service $(SERVICE)

greedy: ## compare greedy tokens of the benchmark's model with those of transformers; GREEDY="--help" lists options
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh greedy $(GREEDY)

constraints: ## time masks of JSON schemas beside llguidance; CONSTRAINTS="--help" lists options
	@Tests/steps/requirements.sh test
	@$(MAKE) --no-print-directory build
	@Benchmarks/run.sh constraints $(CONSTRAINTS)

format: ## format the Swift sources
	@swift format format --in-place --recursive --parallel Sources Tests $(wildcard Benchmarks) Package.swift

lint: ## check the format of the Swift sources
	@swift format lint --strict --recursive --parallel Sources Tests $(wildcard Benchmarks) Package.swift

fuzz: ## fuzz each parser of untrusted files for FUZZ_SECONDS (30)
	@Tests/steps/requirements.sh test
	@Tests/steps/fuzz.sh $(FUZZ_SECONDS)
