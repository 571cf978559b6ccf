# Huiyin 回音. `make run` on a fresh clone is all that is needed; it works with GNU make from 3.81 on.

.DEFAULT_GOAL := help
SHELL := /bin/sh

UV_VERSION := 0.13.9
PYTHONS := >=3.11,<3.15

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
LOCKS := requirements.lock requirements-dev.lock

# The uv on PATH, else one of our own under var/.
OWN_UV := var/uv-$(UV_VERSION)/bin/uv
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(OWN_UV))
COMPILE := pip compile -q --universal --generate-hashes --no-header

# The suite must not depend on how this shell is set up; HUIYIN_TEST_* is for the suite itself.
SHELL_SETTINGS := $(filter-out HUIYIN_TEST_%,$(filter HUIYIN_%,$(.VARIABLES)))
TESTED := env $(addprefix -u ,$(SHELL_SETTINGS)) $(PY) -m pytest

# Understanding has an environment of its own, for Rasa needs Python 3.10.
NLU_VENV := nlu/server/.venv
NLU_PY := $(NLU_VENV)/bin/python
NLU_LOCK := nlu/server/requirements.lock
MODEL ?= var/models/understanding.tar.gz
DATA ?= ../shared/data

.PHONY: help setup setup-dev run demo doctor test test-fast test-crash test-pace screenshots check bench lock clean nlu-setup nlu-train nlu-test

help: ## Show this list 显示本列表
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1#\2/p' Makefile | awk -F'#' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: | $(filter var/%,$(UV)) ## Make or refresh the environment 准备运行环境
	@lock=requirements.lock; if [ -e $(VENV)/requirements-dev.lock ]; then lock=requirements-dev.lock; fi; $(SYNC)

setup-dev: | $(filter var/%,$(UV)) ## The same with the tools for development 准备开发环境
	@lock=requirements-dev.lock; $(SYNC)

run: setup ## Serve on 127.0.0.1:8080 (or HUIYIN_LISTEN) 启动服务
	@exec $(BIN)/huiyin serve --train

demo: setup ## Serve a sample shop with its own data in var/demo 启动演示店铺
	@exec $(BIN)/huiyin demo

doctor: setup ## Tell what is missing and how to mend it 检查安装
	@exec $(BIN)/huiyin doctor

test: setup-dev check ## Check the code and run every test 全部检查和测试
	@$(TESTED) -n 2 --dist worksteal -m "not crash" --durations=15 \
		--cov=desk --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100
	@$(TESTED) -m crash

test-fast: setup-dev ## Tests without the browser and the crashes 快速测试
	@$(TESTED) -q -n 2 --dist loadfile -m "not crash and not browser"

test-crash: setup-dev ## Kill the server 200 times, 50 each way under Telegram, and at every commit 崩溃测试
	@HUIYIN_TEST_KILLS=$${HUIYIN_TEST_KILLS:-200} HUIYIN_TEST_CRASH=full $(TESTED) -m crash --timeout=1800

test-pace: setup-dev ## Send 10,000 messages at full pace (7 minutes) 发送速度测试
	@HUIYIN_TEST_FULL_PACE=1 $(TESTED) -q -s tests/bot/test_pacing.py -k long_queue

screenshots: setup-dev ## Take the pictures of the documentation anew 更新文档截图
	@HUIYIN_TEST_SCREENSHOTS=1 $(TESTED) -q tests/browser

check: setup-dev ## Lint, format, types and imports 静态检查
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: setup-dev ## Run what is in benchmarks/ 性能测试
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(PY) "$$file"; done

nlu-setup: | $(filter var/%,$(UV)) ## Make or refresh the environment of Rasa 准备语义理解环境
	@$(NLU_SYNC)

nlu-train: nlu-setup ## Train the understanding into MODEL 训练语义理解模型
	@exec $(NLU_PY) -m nlu.server.train --output "$(MODEL)"

nlu-test: nlu-setup ## Measure the understanding, with the turns in DATA if any 评测语义理解
	@exec $(NLU_PY) -m nlu.server.evaluate --data "$(DATA)" --report var/understanding-report.json

lock: | $(filter var/%,$(UV)) ## Resolve the newest versions into the hashed locks 更新锁定文件
	@$(UV) $(COMPILE) --upgrade --python-version 3.11 -o requirements.lock pyproject.toml
	@$(UV) $(COMPILE) --upgrade --python-version 3.11 --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@echo "uv==$(UV_VERSION)" | $(UV) $(COMPILE) --no-annotate -o requirements-uv.lock -

clean: ## Remove what can be made again; var/ with your data stays 清理，保留 var/ 里的数据
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist var/uv-*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment holds exactly what $lock says, and the command `huiyin`. A copy of the lock inside the
# environment tells what it holds, so nothing is done twice. The project itself is not installed as a
# package, for that would need its build tools at run time.
define SYNC
if [ ! -x $(PY) ]; then $(UV) venv -q --no-project --allow-existing --python '$(PYTHONS)' $(VENV) || exit 1; fi; \
if ! cmp -s $$lock $(VENV)/$$lock; then \
	echo "Making the environment from $$lock … 正在准备环境"; \
	rm -f $(addprefix $(VENV)/,$(LOCKS)); \
	$(UV) pip sync -q --python $(PY) --require-hashes --compile-bytecode $$lock || exit 1; \
	packages=$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || exit 1; \
	echo ../../../.. > "$$packages/huiyin.pth"; \
	printf '%s\n' '#!/bin/sh' 'here=$$(dirname -- "$$(realpath -- "$$0")")' \
		'run="import sys; sys.argv[0] = \"huiyin\"; from bot.cli import main; main()"' \
		'exec "$$here/python" -P -c "$$run" "$$@"' > $(BIN)/huiyin; \
	chmod +x $(BIN)/huiyin; \
	cp $$lock $(VENV)/$$lock; \
fi
endef

# The same for Rasa. A Python 3.10 of pyenv is used where there is one, else the one that uv finds or fetches.
define NLU_SYNC
if [ ! -x $(NLU_PY) ] || ! $(NLU_PY) -c '' 2>/dev/null; then \
	found=$$(pyenv prefix 3.10 2>/dev/null || "$${PYENV_ROOT:-$$HOME/.pyenv}/bin/pyenv" prefix 3.10 2>/dev/null); \
	if [ -n "$$found" ]; then wanted="$$found/bin/python3.10"; else wanted=3.10; fi; \
	$(UV) venv -q --no-project --clear --python "$$wanted" $(NLU_VENV) || { \
		echo "没有可用的 Python 3.10，语义理解无法启动：请联网后重试（uv 会自动下载），或先执行 pyenv install 3.10。" >&2; \
		echo "Understanding needs a Python 3.10 and none could be had: try again with network access (uv fetches one)," >&2; \
		echo "or install one, for example with: pyenv install 3.10" >&2; exit 3; }; \
fi; \
if ! cmp -s $(NLU_LOCK) $(NLU_VENV)/requirements.lock; then \
	echo "Making the environment of Rasa from $(NLU_LOCK) … 正在准备语义理解环境"; \
	rm -f $(NLU_VENV)/requirements.lock; \
	$(UV) pip sync -q --python $(NLU_PY) --require-hashes --compile-bytecode $(NLU_LOCK) || exit 1; \
	cp $(NLU_LOCK) $(NLU_VENV)/requirements.lock; \
fi
endef

$(OWN_UV):
	@echo "Fetching uv $(UV_VERSION) into var/ … 正在下载 uv"
	@mkdir -p var
	@python3 -m pip install --quiet --disable-pip-version-check --require-hashes --target var/uv-$(UV_VERSION) \
			-r requirements-uv.lock 2>/dev/null \
		|| { rm -rf var/uv-$(UV_VERSION) && python3 -m venv var/uv-$(UV_VERSION) \
			&& var/uv-$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
				-r requirements-uv.lock; } \
		|| { rm -rf var/uv-$(UV_VERSION); \
			echo "无法下载 uv：需要网络，以及带 pip 或 venv 的 python3（Debian：apt install python3-venv），或自行安装 uv。" >&2; \
			echo "uv could not be fetched: that needs the network and a python3 with pip or venv" >&2; \
			echo "(Debian: apt install python3-venv), or an uv that you installed yourself." >&2; exit 1; }
	@test -x $@
