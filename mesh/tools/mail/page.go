package main

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kept is how many mails are remembered; older ones are forgotten.
const kept = 1000

// Mail is one mail as it arrived.
type Mail struct {
	Number    int       `json:"number"`
	Received  time.Time `json:"received"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	Encrypted bool      `json:"encrypted"`
	Text      string    `json:"text"`
	HTML      string    `json:"html"`
	Source    string    `json:"source"`
}

// box holds the latest mails, the oldest first.
type box struct {
	lock   sync.Mutex
	mails  []*Mail
	number int
}

func (b *box) add(mail *Mail) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.number++
	mail.Number = b.number
	b.mails = append(b.mails, mail)
	if len(b.mails) > kept {
		b.mails = slices.Delete(b.mails, 0, len(b.mails)-kept)
	}
}

// to gives the mails to an address, or all for none; the newest first.
func (b *box) to(address string) []*Mail {
	b.lock.Lock()
	defer b.lock.Unlock()
	found := []*Mail{}
	for _, mail := range slices.Backward(b.mails) {
		if address == "" || slices.ContainsFunc(mail.To, func(to string) bool { return strings.EqualFold(to, address) }) {
			found = append(found, mail)
		}
	}
	return found
}

func (b *box) find(number int) *Mail {
	for _, mail := range b.to("") {
		if mail.Number == number {
			return mail
		}
	}
	return nil
}

func (b *box) empty() {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.mails = nil
}

func routes(box *box) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		show(w, "list", map[string]any{"To": r.FormValue("to"), "Mails": box.to(r.FormValue("to"))})
	})
	routes.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	routes.HandleFunc("GET /mails/{number}", func(w http.ResponseWriter, r *http.Request) {
		number, _ := strconv.Atoi(r.PathValue("number"))
		if mail := box.find(number); mail != nil {
			show(w, "mail", mail)
			return
		}
		http.NotFound(w, r)
	})
	routes.HandleFunc("GET /api/mails", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(box.to(r.FormValue("to")))
	})
	routes.HandleFunc("DELETE /api/mails", func(w http.ResponseWriter, _ *http.Request) {
		box.empty()
		w.WriteHeader(http.StatusNoContent)
	})
	return routes
}

func show(w http.ResponseWriter, name string, value any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// A mail may hold anything: nothing in it runs or loads.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'")
	pages.ExecuteTemplate(w, name, value)
}

var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f5;padding:1rem}iframe{width:100%;height:20rem;border:1px solid #ddd}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}pre{background:#242424}td,th{border-color:#444}iframe{background:#fff}}
</style>{{end}}
{{define "list"}}{{template "head"}}<h1>Mails</h1>
<form><label>To <input name="to" type="email" value="{{.To}}"></label> <button>Show</button></form>
{{if .Mails}}<table><tr><th>Received</th><th>To</th><th>Subject</th></tr>
{{range .Mails}}<tr><td>{{.Received.Format "2006-01-02 15:04:05"}}</td><td>{{range .To}}{{.}} {{end}}</td>
<td><a href="/mails/{{.Number}}">{{or .Subject "(no subject)"}}</a></td></tr>{{end}}</table>
{{else}}<p>No mail yet. What services send arrives here, and goes nowhere else.</p>{{end}}</html>{{end}}
{{define "mail"}}{{template "head"}}<p><a href="/">All mails</a></p><h1>{{or .Subject "(no subject)"}}</h1>
<table><tr><th>Received</th><td>{{.Received.Format "2006-01-02 15:04:05"}}{{if .Encrypted}}, encrypted{{end}}</td></tr>
<tr><th>From</th><td>{{.From}}</td></tr><tr><th>To</th><td>{{range .To}}{{.}} {{end}}</td></tr><tr><th>Id</th><td>{{.MessageID}}</td></tr></table>
<h2>Text</h2><pre>{{.Text}}</pre>
{{if .HTML}}<h2>HTML</h2><iframe sandbox="" srcdoc="{{.HTML}}" title="the mail in HTML"></iframe>{{end}}
<details><summary>Source</summary><pre>{{.Source}}</pre></details></html>{{end}}
`))
