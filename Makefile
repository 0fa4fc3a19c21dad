# One command each; what they do, and how much longer ones there are: CONTRIBUTING.md.
.PHONY: start stop test fast lint

start:
	./start_all.sh

stop:
	./stop_all.sh

test:
	testing/run_tests.sh

fast:
	testing/run_tests.sh --fast

lint:
	testing/run_tests.sh --lint
