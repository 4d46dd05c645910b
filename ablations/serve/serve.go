// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/ablations"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/viz"
	"metrolab/viz/table"
)

// Site is what the page is of.
type Site struct {
	Root   string                      // folder of the runs
	Claims func() (table.Table, error) // how the published claims stand; nil to leave them out
}

//go:embed page.html.tmpl page.css live.js
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page.html.tmpl"))

// Handler serves the site. It answers to GET alone, and refuses requests whose Host is not a name of the loopback interface.
func (s Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page(s.index))
	mux.HandleFunc("GET /claims", s.page(s.claims))
	mux.HandleFunc("GET /study/{name}", s.page(s.study))
	mux.HandleFunc("GET /study/{name}/report", s.report)
	mux.HandleFunc("GET /study/{name}/curves.png", s.studyCurves)
	mux.HandleFunc("GET /run/{name}", s.page(s.run))
	mux.HandleFunc("GET /run/{name}/{metric}", s.runCurve)
	for _, name := range []string{"page.css", "live.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, fmt.Sprintf("%q is not this machine's own name; open http://127.0.0.1 or http://localhost", r.Host), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// loopback says whether a Host header names the loopback interface, whatever the port: a name that an attacker's server has
// bound to it is none of these.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// content is what stands on a page, in the order of the fields. What is empty is left out.
type content struct {
	Title    string
	Standing string // in a line
	Done     int    // in percent, if Total is not 0
	Total    int
	Links    []link
	Tables   []section
	Pictures []link
	Report   string // address
}

type link struct{ Address, Text, Note string }

type section struct {
	Title string
	Rows  []row
	Table template.HTML
}

type row struct {
	link
	Cells []string
}

// page is the handler of what makes a page. A folder that is not there is not found; what cannot be read is said.
func (s Site) page(contentOf func(*http.Request) (content, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := contentOf(r)
		if err != nil {
			fail(w, err)
			return
		}
		var page bytes.Buffer
		if err := pages.Execute(&page, c); err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.Bytes()) // a reader that has left
	}
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNone) {
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

var errNone = errors.New("there is none")

func (s Site) index(*http.Request) (content, error) {
	c := content{Title: "Runs in " + s.Root}
	if s.Claims != nil {
		c.Links = append(c.Links, link{Address: "/claims", Text: "Published claims"})
	}
	studies := section{Title: "Studies"}
	plans, err := filepath.Glob(filepath.Join(escapeGlob(s.Root), "*", ablations.PlanFile))
	if err != nil {
		return c, err
	}
	for _, plan := range plans {
		name := filepath.Base(filepath.Dir(plan))
		at, err := ablations.Stand(filepath.Dir(plan))
		standing := at.String()
		if err != nil {
			standing = err.Error()
		}
		studies.Rows = append(studies.Rows, row{link{Address: "/study/" + url.PathEscape(name), Text: name}, []string{standing}})
	}
	list, err := runs.Store{Root: s.Root}.List()
	if err != nil {
		return c, err
	}
	all := section{Title: "Runs"}
	slices.SortStableFunc(list, func(a, b runs.Summary) int { return b.Modified.Compare(a.Modified) })
	for _, r := range list {
		step := ""
		if r.Total > 0 {
			step = fmt.Sprintf("step %d of %d", r.Step, r.Total)
		}
		all.Rows = append(all.Rows, row{link{Address: "/run/" + url.PathEscape(r.ID), Text: r.ID}, []string{string(r.State), step}})
	}
	for _, part := range []section{studies, all} {
		if len(part.Rows) > 0 {
			c.Tables = append(c.Tables, part)
		}
	}
	if len(c.Tables) == 0 {
		c.Standing = "No runs yet; metro pretrain --recipe tiny makes one."
	}
	return c, nil
}

// escapeGlob makes a pattern of a path that stands for itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func (s Site) claims(*http.Request) (content, error) {
	c := content{Title: "Published claims"}
	if s.Claims == nil {
		return c, errNone
	}
	t, err := s.Claims()
	if err != nil {
		return c, err
	}
	text, err := t.HTML()
	c.Tables = []section{{Table: text}}
	return c, err
}

// named is the folder that a request names, which holds a file of that name.
func (s Site) named(r *http.Request, holds string) (dir string, err error) {
	name := r.PathValue("name")
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return "", fmt.Errorf("%q: %w", name, errNone)
	}
	dir = filepath.Join(s.Root, name)
	if _, err := os.Stat(filepath.Join(dir, holds)); err != nil {
		return "", err
	}
	return dir, nil
}

// standing reads the study of a request.
func (s Site) standing(r *http.Request) (ablations.Standing, error) {
	dir, err := s.named(r, ablations.PlanFile)
	if err != nil {
		return ablations.Standing{}, err
	}
	return ablations.Stand(dir)
}

func (s Site) study(r *http.Request) (content, error) {
	at, err := s.standing(r)
	if err != nil {
		return content{}, err
	}
	study := at.Results.Study
	c := content{Title: study.Name, Standing: study.Question, Done: percent(at.Done, at.Total), Total: at.Total}
	c.Tables = []section{{Title: at.String()}}
	if c.Tables[0].Table, err = at.Results.Table().HTML(); err != nil {
		return c, err
	}
	for _, u := range at.UnderWay {
		c.Links = append(c.Links, link{Address: "/run/" + url.PathEscape(u.ID), Text: fmt.Sprintf("%s, seed %d", u.Arm, u.Seed)})
	}
	const redraws = 200 // of the pictures, while a study is trained
	c.Pictures = []link{{Address: fmt.Sprintf("/study/%s/curves.png?at=%d", url.PathEscape(study.Name), at.Done*redraws/max(1, at.Total)), Text: study.Outcome.Label}}
	if ended := at.Results.Ended(); ended > 0 {
		c.Report = fmt.Sprintf("/study/%s/report?ended=%d", url.PathEscape(study.Name), ended)
	}
	return c, nil
}

func percent(done, total int) int { return 100 * done / max(1, total) }

func (s Site) report(w http.ResponseWriter, r *http.Request) {
	at, err := s.standing(r)
	if err != nil {
		fail(w, err)
		return
	}
	report, err := at.Results.Report()
	if err != nil {
		fail(w, err)
		return
	}
	page, err := report.HTML()
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page)
}

func (s Site) studyCurves(w http.ResponseWriter, r *http.Request) {
	at, err := s.standing(r)
	if err != nil {
		fail(w, err)
		return
	}
	c, err := at.Results.Curves(at.Results.Study.Outcome.Metric)
	draw(w, c, err)
}

// draw writes the picture of curves; one without a line where none has begun.
func draw(w http.ResponseWriter, c viz.Curves, err error) {
	if err == nil && len(c.Series) == 0 {
		err = fmt.Errorf("curves: %w yet", errNone)
	}
	var figure viz.Figure
	if err == nil {
		figure, err = c.Figure()
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(figure.PNG)
}

// opened is the run of a request.
func (s Site) opened(r *http.Request) (*runs.Run, error) {
	dir, err := s.named(r, ".")
	if err != nil {
		return nil, err
	}
	return runs.Store{Root: s.Root}.Open(filepath.Base(dir))
}

func (s Site) run(r *http.Request) (content, error) {
	run, err := s.opened(r)
	if err != nil {
		return content{}, err
	}
	at := run.Summary()
	c := content{Title: run.ID, Standing: string(at.State), Done: percent(at.Step, at.Total), Total: at.Total}
	if at.Total > 0 {
		c.Standing += fmt.Sprintf(", step %d of %d", at.Step, at.Total)
	}
	if at.Problem != "" {
		c.Standing += ": " + at.Problem
	}
	rows, err := run.ReadMetrics()
	if err != nil {
		return c, err
	}
	for _, key := range drawn(rows) {
		c.Pictures = append(c.Pictures, link{Address: fmt.Sprintf("/run/%s/%s?rows=%d", url.PathEscape(run.ID), url.PathEscape(key), len(rows)), Text: metrics.Of(key).Label, Note: key})
	}
	return c, nil
}

// drawn are the metrics of a log that there is a curve of, without times.
func drawn(rows []runs.Row) (keys []string) {
	seen := map[string]bool{}
	for _, row := range rows {
		for key := range row.Values {
			if seen[key] || metrics.Of(key).Timing {
				continue
			}
			seen[key] = true
			if x, _ := runs.Curve(rows, key); len(x) > 0 {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func (s Site) runCurve(w http.ResponseWriter, r *http.Request) {
	run, err := s.opened(r)
	if err != nil {
		fail(w, err)
		return
	}
	rows, err := run.ReadMetrics()
	if err != nil {
		fail(w, err)
		return
	}
	key := r.PathValue("metric")
	c := viz.OverSteps(key, metrics.Of(key).Label)
	if x, y := runs.Curve(rows, key); len(x) > 0 {
		c.Series = []viz.Series{{Name: run.ID, Runs: []viz.Line{{X: x, Y: y}}}}
	}
	draw(w, c, nil)
}
