# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# everybackend PACKAGE prints a pattern of the names of its tests that run on every backend.
everybackend() {
	awk '/^func Test/ { name = $2; sub(/\(.*/, "", name) } /backendtest\.ForEach\(/ && name { print name; name = "" }' "$1"/*_test.go |
		paste -sd '|'
}
