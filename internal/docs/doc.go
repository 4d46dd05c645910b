// SPDX-License-Identifier: Apache-2.0

// Package docs reads the project's Markdown pages, so that tests can check what they name: a link, a file, a test, a
// command or a flag that is not there is an error at a file and line.
//
// It knows as much of Markdown as those pages use: headings, paragraphs, lists, tables, fenced blocks, code spans, links
// and images. Its own tests check links and names; those of metro/cli check the commands.
package docs
