// Mail is the mail catcher of a mesh on one machine: it takes every mail that it is given, sends none on, and shows them on a page.
// A production deployment names a real mail server in its place.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// maxMail is the largest mail that is taken, in bytes.
const maxMail = 1 << 20

func main() {
	listen := flag.String("smtp", "127.0.0.1:1025", "address for mails")
	page := flag.String("http", "127.0.0.1:8025", "address of the page")
	flag.Parse()

	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err := run(*listen, *page); err != nil {
		slog.Error("mail stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until the process is told to stop.
func run(listen, page string) error {
	certificate, err := certificate()
	if err != nil {
		return err
	}
	box := &box{}
	server := smtp.NewServer(smtp.BackendFunc(func(conn *smtp.Conn) (smtp.Session, error) {
		return &session{box: box, conn: conn}, nil
	}))
	server.Domain = "localhost"
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.EnableSMTPUTF8 = true
	server.MaxMessageBytes, server.MaxRecipients = maxMail, 100
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.ErrorLog = slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)
	mails, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	pages := &http.Server{Addr: page, Handler: routes(box), ReadHeaderTimeout: 10 * time.Second}

	ended := make(chan error, 2)
	go func() { ended <- server.Serve(mails) }()
	go func() { ended <- pages.ListenAndServe() }()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	farewell, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(farewell), pages.Shutdown(farewell))
}

// certificate makes one for this run: whoever sends here encrypts, and checks nothing.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{"localhost", "mail.service.consul"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// session is one connection of somebody who sends.
type session struct {
	box  *box
	conn *smtp.Conn
	from string
	to   []string
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, encrypted := s.conn.TLSConnectionState()
	caught := read(string(raw))
	caught.From, caught.To, caught.Encrypted = s.from, s.to, encrypted
	s.box.add(caught)
	slog.Info("mail caught", "mail.number", caught.Number, "mail.message_id", caught.MessageID)
	return nil
}

// read takes out of a mail what the page shows. What cannot be read is empty: the source shows the rest.
func read(source string) *Mail {
	caught := &Mail{Received: time.Now().UTC(), Source: source}
	reader, err := mail.CreateReader(strings.NewReader(source))
	if err != nil {
		return caught
	}
	defer reader.Close()
	caught.Subject, _ = reader.Header.Subject()
	caught.MessageID, _ = reader.Header.MessageID()
	for {
		part, err := reader.NextPart()
		if err != nil {
			return caught
		}
		body, _ := io.ReadAll(part.Body)
		kind := part.Header.Get("Content-Type")
		switch {
		case strings.HasPrefix(kind, "text/html"):
			caught.HTML = string(body)
		case caught.Text == "":
			caught.Text = string(body)
		}
	}
}
