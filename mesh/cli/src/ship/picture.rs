//! The picture of the architecture, drawn from what services serve, read and call.

use crate::generate::Files;
use crate::services::{self, Description};

const PAGE: &str = "docs/architecture.md";
const PICTURE: &str = "docs/architecture.svg";

const TEXT: &str = "\
# Architecture

![Clients reach the ingress, it the services, each through an Envoy beside it, and they their stores](architecture.svg)

Drawn by `cargo mesh generate` from what each service serves, calls and reads. Every curved arrow is a gRPC call through both
sidecars, and an intention allows it; all but `users` also follow its stream of logged-out tokens, which is not drawn. A dot
is a store that the service uses; a database in a service's row is its own, and no other service reaches it.
";

/// Stores that services share, by the variable that leads to them.
const SHARED: &[(&str, &str)] = &[
    ("MONGODB_URL", "documents"),
    ("REDIS_URL", "Redis"),
    ("AMQP_URL", "RabbitMQ: events"),
    ("SMTP_HOST", "mail server"),
];

/// Colours of calls, by whom they are for.
const COLOURS: &[&str] = &[
    "#2563eb", "#16a34a", "#d97706", "#9333ea", "#0891b2", "#dc2626",
];

const STYLE: &str = "text { font-family: system-ui, sans-serif; font-size: 12px; fill: #1f2937 } .name { font-size: 15px; font-weight: 600 } \
    .small { font-size: 11px; fill: #6b7280 } .head { font-weight: 600 } .bar { fill: #e0e7ff; stroke: #6366f1 } \
    .store { fill: #fef3c7; stroke: #d97706 } .service { fill: #fff; stroke: #64748b } .envoy { fill: #ede9fe; stroke: #7c3aed } \
    .line { stroke: #94a3b8; fill: none } .dot { fill: #b45309 } .call { fill: none; stroke-width: 1.6 }";

const TOP: usize = 60;
const ROW: usize = 50;
const BOX: usize = 38;
const INGRESS: usize = 140;
const SIDECAR: usize = 250;
const SERVICE: usize = 294;
const SERVICE_END: usize = 660;
const SQL: usize = 832;
const LANES: usize = 932;
const LANE: usize = 56;
const BAR: usize = 28;

/// Returns the page and the picture in it.
pub fn files(descriptions: &[Description]) -> Files {
    Files::from([
        (PAGE.to_owned(), TEXT.to_owned()),
        (PICTURE.to_owned(), draw(&services::in_order(descriptions))),
    ])
}

/// Draws services in rows, with what they reach to their right.
fn draw(services: &[&Description]) -> String {
    let (width, bottom) = (LANES + SHARED.len() * LANE, y(services.len()));
    let height = bottom + 62;
    let mut svg = Svg(String::new());
    svg.add(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>Plaza: services, their calls and their stores</title>\n<style>{STYLE}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    ));
    svg.heads();
    svg.stores(services, bottom);
    svg.edge(bottom);
    for (row, service) in services.iter().enumerate() {
        svg.service(service, y(row));
    }
    svg.calls(services);
    svg.legend(bottom);
    svg.0 + "</svg>\n"
}

/// Returns the middle of a row.
fn y(row: usize) -> usize {
    TOP + row * ROW + BOX / 2
}

/// Elements so far.
struct Svg(String);

impl Svg {
    fn add(&mut self, element: &str) {
        self.0 += element;
        self.0 += "\n";
    }

    fn text(&mut self, class: &str, x: usize, y: usize, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(&format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
        ));
    }

    fn line(&mut self, from: usize, to: usize, y: usize, arrow: &str) {
        self.add(&format!(
            "<path class=\"line\" d=\"M{from} {y}H{to}\"{arrow}/>"
        ));
    }

    /// Heads of arrows, one of each colour.
    fn heads(&mut self) {
        let heads = COLOURS
            .iter()
            .enumerate()
            .map(|(number, colour)| (number.to_string(), *colour));
        for (name, colour) in heads.chain([("line".to_owned(), "#94a3b8")]) {
            self.add(&format!(
                "<marker id=\"to-{name}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" \
                 orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>"
            ));
        }
    }

    /// A bar from the first row to the last, with its name along it.
    fn bar(&mut self, class: &str, x: usize, bottom: usize, name: &str) {
        let (top, length) = (TOP - 6, bottom - TOP - BAR / 2);
        let (middle, down) = (x + BAR / 2, top + length / 2);
        self.add(&format!("<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{BAR}\" height=\"{length}\" rx=\"8\"/>"));
        self.add(&format!(
            "<text class=\"head\" text-anchor=\"middle\" transform=\"translate({} {down}) rotate(-90)\">{name}</text>",
            middle + 4
        ));
    }

    fn edge(&mut self, bottom: usize) {
        let middle = usize::midpoint(TOP, bottom) - 10;
        self.add(&format!(
            "<circle class=\"bar\" cx=\"50\" cy=\"{middle}\" r=\"34\"/>"
        ));
        self.add(&format!(
            "<text class=\"head\" text-anchor=\"middle\" x=\"50\" y=\"{}\">clients</text>",
            middle + 4
        ));
        self.line(84, INGRESS, middle, " marker-end=\"url(#to-line)\"");
        self.bar(
            "bar",
            INGRESS,
            bottom,
            "ingress: Envoy, Consul’s API gateway",
        );
        for (line, what) in ["REST", "WebSocket", "Socket.IO"].iter().enumerate() {
            self.text("small", 24, middle + 54 + 15 * line, what);
        }
        self.text("small", INGRESS + BAR + 26, TOP - 18, "mTLS");
    }

    fn service(&mut self, service: &Description, y: usize) {
        let top = y - BOX / 2;
        if !service.routes.is_empty() {
            self.line(INGRESS + BAR, SIDECAR, y, " marker-end=\"url(#to-line)\"");
        }
        let (sidecar, width) = (SERVICE - SIDECAR, SERVICE_END - SERVICE);
        self.add(&format!("<rect class=\"envoy\" x=\"{SIDECAR}\" y=\"{top}\" width=\"{sidecar}\" height=\"{BOX}\" rx=\"6\"/>"));
        self.text("small", SIDECAR + 6, y + 4, "Envoy");
        self.add(&format!("<rect class=\"service\" x=\"{SERVICE}\" y=\"{top}\" width=\"{width}\" height=\"{BOX}\" rx=\"6\"/>"));
        self.text("name", SERVICE + 10, y - 3, &service.name);
        self.text("small", SERVICE + 10, y + 13, &service.about);
    }

    /// Bars of what is shared, a database in the row of its service, and lines and dots to both.
    fn stores(&mut self, services: &[&Description], bottom: usize) {
        let x = |lane: usize| LANES + lane * LANE;
        for (row, service) in services.iter().enumerate() {
            let used = SHARED
                .iter()
                .rposition(|(variable, _)| service.reads(variable));
            let end = used.map(x).or(service.database().map(|_| SQL));
            if let Some(end) = end {
                self.line(SERVICE_END, end, y(row), "");
            }
        }
        for (lane, (_, name)) in SHARED.iter().enumerate() {
            self.bar("store", x(lane), bottom, name);
        }
        for (row, service) in services.iter().enumerate() {
            let y = y(row);
            if service.database().is_some() {
                self.database(y);
            }
            for (lane, (variable, _)) in SHARED.iter().enumerate() {
                if service.reads(variable) {
                    self.add(&format!(
                        "<circle class=\"dot\" cx=\"{}\" cy=\"{y}\" r=\"5\"/>",
                        x(lane)
                    ));
                }
            }
        }
    }

    fn database(&mut self, y: usize) {
        let (top, width) = (y - 13, 50);
        self.add(&format!(
            "<path class=\"store\" d=\"M{SQL} {top}v26a25 5 0 0 0 {width} 0v-26a25 5 0 0 0 -{width} 0a25 5 0 0 0 {width} 0\"/>"
        ));
        self.text("head", SQL + 13, y + 9, "SQL");
    }

    /// Curves from callers to those they call; what is for one has one colour.
    fn calls(&mut self, services: &[&Description]) {
        let mut calls = Vec::new();
        for (from, caller) in services.iter().enumerate() {
            for (to, callee) in services.iter().enumerate() {
                let called = caller.calls.iter().any(|call| {
                    call.service == callee.name && !call.path.ends_with("Tokens/Watch")
                });
                if called {
                    calls.push((from, to));
                }
            }
        }
        let mut callees: Vec<_> = calls.iter().map(|(_, to)| *to).collect();
        callees.sort_unstable();
        callees.dedup();
        for (from, to) in calls {
            let colour = callees
                .iter()
                .position(|callee| *callee == to)
                .unwrap_or_default()
                % COLOURS.len();
            // Out above the middle and in below it, away from the line to the stores.
            let (start, end) = (y(from) - 9, y(to) + 9);
            let bow = SERVICE_END + 50 + 18 * from.abs_diff(to);
            self.add(&format!(
                "<path class=\"call\" stroke=\"{}\" marker-end=\"url(#to-{colour})\" d=\"M{SERVICE_END} {start}C{bow} {start} {bow} {end} {SERVICE_END} {end}\">\
                 <title>{} calls {}</title></path>",
                COLOURS[colour], services[from].name, services[to].name
            ));
        }
    }

    fn legend(&mut self, bottom: usize) {
        let y = bottom + 14;
        self.text(
            "small",
            SERVICE_END + 8,
            TOP - 18,
            "gRPC, through both Envoys",
        );
        self.text("small", SQL - 4, TOP - 18, "its own");
        self.text("small", LANES, TOP - 18, "shared, each its own part of it");
        self.text("head", SIDECAR, y, "Beside all of them:");
        self.text(
            "",
            SIDECAR + 130,
            y,
            "Consul: registration, DNS, certificates, intentions, configuration of every Envoy",
        );
        self.text("", SIDECAR + 130, y + 20, "Prometheus and Grafana: metrics, alerts · Jaeger: traces of every hop, Envoys and the broker’s too");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s4_26_the_picture_shows_services_calls_and_stores() {
        let call = json!({ "service": "users", "path": "/plaza.users.v1.Users/Get" });
        let watch = json!({ "service": "users", "path": "/plaza.users.v1.Tokens/Watch" });
        let route = json!({ "method": "GET", "template": "/clubs" });
        let clubs = json!({
            "name": "clubs", "description": "Drivers & friends", "routes": [route], "calls": [call, watch],
            "settings": [{ "variable": "CLUBS_DATABASE_URL" }, { "variable": "REDIS_URL" }],
        });
        let rides = json!({ "name": "rides", "calls": [watch] });
        let services = [clubs, rides, json!({ "name": "users" })];
        let services = services.map(|service| serde_json::from_value(service).unwrap());

        let svg = &files(&services)[PICTURE];

        for part in [
            "Drivers &amp; friends",
            "<title>clubs calls users</title>",
            ">SQL<",
            ">Redis<",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(
            svg.matches("<title>").count(),
            2,
            "a stream of tokens is no arrow"
        );
        assert_eq!(svg.matches("class=\"dot\"").count(), 1);
    }
}
