//! Claim (S1 and S2 of the security probes): nothing reaches an application but through its
//! sidecar, and a sidecar talks to nobody without a certificate of the mesh.

use std::{fs, time::Duration};

use reqwest::{Client, Method};
use serde_json::Value;
use testkit::{Mesh, send};
use tonic::Code;

use crate::{identity, intentions::sidecar};

#[tokio::test]
async fn a_sidecar_refuses_plaintext() {
    for service in Mesh::current().services.keys() {
        let plain = Client::new().get(format!("http://{}/api/auth/status", sidecar(service).await));
        assert!(
            plain.timeout(Duration::from_secs(5)).send().await.is_err(),
            "{service}"
        );
    }
}

#[tokio::test]
async fn a_sidecar_refuses_tls_without_a_certificate() {
    let anonymous = Client::builder()
        .tls_backend_rustls()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    for service in Mesh::current().services.keys() {
        let request = anonymous.get(format!(
            "https://{}/api/auth/status",
            sidecar(service).await
        ));
        assert!(
            request
                .timeout(Duration::from_secs(5))
                .send()
                .await
                .is_err(),
            "{service}"
        );
    }
}

#[tokio::test]
async fn no_service_may_have_the_certificate_of_another() {
    let mesh = Mesh::current();
    for (caller, token) in &mesh.tokens.services {
        for other in mesh.services.keys() {
            let signed = identity::sign(other, token).await;
            let refused = signed.err().map(|status| status.code());
            let expected = (caller != other).then_some(Code::PermissionDenied);
            assert_eq!(refused, expected, "{caller} asks to be {other}");
        }
    }
    let nobody = identity::sign("users", "").await;
    assert_eq!(nobody.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn no_certificate_is_handed_out_over_http() {
    let mesh = Mesh::current();
    for token in mesh
        .tokens
        .services
        .values()
        .chain([&mesh.tokens.management])
    {
        for service in mesh.services.keys() {
            let leaf = mesh.consul(
                Method::GET,
                &format!("agent/connect/ca/leaf/{service}"),
                token,
            );
            assert_eq!(send(leaf).await.status, 403, "{service}");
        }
    }
}

#[tokio::test]
async fn applications_listen_on_loopback_only() {
    let mesh = Mesh::current();
    for (service, entry) in &mesh.services {
        for instance in &entry.instances {
            let pid = mesh
                .process(instance)
                .unwrap_or_else(|| panic!("{instance} runs"));
            let sockets = listening(pid);
            assert!(!sockets.is_empty(), "{service} listens somewhere");
            for local in sockets {
                assert!(
                    local.starts_with("0100007F:"),
                    "{instance} listens on {local}, which is not 127.0.0.1"
                );
            }
        }
    }
}

/// The local addresses on which a process listens, as `/proc/net/tcp` writes them.
fn listening(pid: u32) -> Vec<String> {
    let inodes: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| {
            let rows: Vec<Vec<String>> = table
                .lines()
                .skip(1)
                .map(|row| row.split_whitespace().map(str::to_owned).collect())
                .collect();
            rows
        })
        .filter(|row| row[3] == "0A" && inodes.contains(&row[9]))
        .map(|row| row[1].clone())
        .collect()
}

#[tokio::test]
async fn registered_addresses_are_loopback() {
    let services: Value = Mesh::current().consul_get("agent/services").await;
    for (id, service) in services.as_object().unwrap() {
        // Those of others, by `registry`, are where they say.
        if service["Service"].as_str().unwrap().starts_with("ext-") {
            continue;
        }
        let address = service["Address"].as_str().unwrap();
        assert!(
            address.is_empty() || address.starts_with("127."),
            "{id} is registered at {address}"
        );
    }
}
