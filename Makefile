# What one does with this project. Every target installs what it lacks: programs with apt (as root or with sudo),
# Python tools into build/venv. See docs/architecture.md, "Tests".
.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-luci test-lab lint bench ipk feed vps clean

TOOLS := tests/tools
PYTHON := build/venv/bin/python
VM := tests/lab/vm
SHARDS := $(shell nproc)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: ## see a phone roam between NATs, live, in under five minutes
	@tests/lab/demo

test: test-unit test-luci test-lab ## everything: both interpreters, LuCI's pages, and the scenarios on a real kernel

test-unit: ## what needs no lab: unit and portable tests, under CPython and MicroPython
	@$(TOOLS)/install-deps test
	@$(TOOLS)/venv
	$(PYTHON) -m pytest -n $(SHARDS)

test-luci: ## LuCI's pages alone: what they compute under node, and the pages in Chromium
	@$(TOOLS)/install-deps luci
	@$(TOOLS)/venv
	@$(TOOLS)/node-modules
	build/venv/bin/node --test tests/luci/node/*.test.js
	$(PYTHON) -m pytest -n $(SHARDS) tests/luci

test-lab: ipk vps ## the scenarios alone: here where the kernel has WireGuard, else in VMs
	@$(TOOLS)/install-deps lab
	@$(TOOLS)/venv
	$(PYTHON) tests/lab/run --shards $(SHARDS) --out build/lab

lint: ## ruff, shellcheck, mpy-cross, the traps of MicroPython, and eslint
	@$(TOOLS)/install-deps lint
	@$(TOOLS)/venv
	@$(TOOLS)/node-modules
	@$(TOOLS)/lint

bench: ## roams, memory, CPU and traffic beside a polling loop; a publisher with 1,000 peers; the relay's throughput
	@$(TOOLS)/install-deps lab
	@$(TOOLS)/venv
	@$(VM) build
	$(PYTHON) tests/bench/load.py
	$(VM) run -- python3 tests/lab/bench.py
	$(VM) run -- python3 tests/lab/bench_relay.py

ipk: ## the OpenWrt packages, without OpenWrt's SDK: dist/wgp2p_*_all.ipk and dist/luci-app-wgp2p_*_all.ipk
	@$(TOOLS)/venv
	$(PYTHON) package/tools/ipk

feed: ## a feed for opkg in dist/feed; KEY=FILE signs it with that secret key of usign
	@$(TOOLS)/venv
	$(PYTHON) package/tools/feed $(if $(KEY),--key $(KEY))

vps: ## one file for any Linux with Python 3.9 or newer, with an installer: dist/wgp2p.pyz
	@package/wgp2p/vps/build

clean: ## remove what was built here (the lab's image stays in ~/.cache/wgp2p)
	rm -rf build dist tests/luci/node_modules .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
