//! Certificates of the mesh, for tests that play a service: signed by Consul's CA for whoever
//! holds that service's token, as its sidecar's are.

use prost::Message;
use rcgen::{CertificateParams, KeyPair, SanType};
use reqwest::{Client, Identity};
use testkit::Mesh;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;

/// `hashicorp.consul.connectca.SignRequest`
#[derive(Clone, PartialEq, Message)]
struct SignRequest {
    #[prost(string, tag = "1")]
    csr: String,
}

/// `hashicorp.consul.connectca.SignResponse`
#[derive(Clone, PartialEq, Message)]
struct SignResponse {
    #[prost(string, tag = "2")]
    cert_pem: String,
}

/// Asks the CA for a certificate of `service` with an ACL token; certificate and key in PEM.
pub async fn sign(service: &str, token: &str) -> Result<String, Status> {
    let mesh = Mesh::current();
    let roots = mesh.consul_get("connect/ca/roots").await;
    let domain = roots["TrustDomain"].as_str().unwrap();
    let mut params = CertificateParams::default();
    let name = format!("spiffe://{domain}/ns/default/dc/plaza/svc/{service}");
    params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let address = Endpoint::from_shared(mesh.address("consul_grpc").to_owned()).unwrap();
    let mut grpc = Grpc::new(address.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let mut request = Request::new(SignRequest { csr });
    request
        .metadata_mut()
        .insert("x-consul-token", token.parse().unwrap());
    let path = PathAndQuery::from_static("/hashicorp.consul.connectca.ConnectCAService/Sign");
    let codec = ProstCodec::<SignRequest, SignResponse>::default();
    let signed = grpc.unary(request, path, codec).await?.into_inner();
    Ok(format!("{}\n{}", signed.cert_pem, key.serialize_pem()))
}

/// A client that is `service` to everybody else in the mesh.
pub async fn client_of(service: &str) -> Client {
    let pem = sign(service, &Mesh::current().tokens.services[service])
        .await
        .unwrap();
    Client::builder()
        .tls_backend_rustls()
        .identity(Identity::from_pem(pem.as_bytes()).unwrap())
        // Sidecars have SPIFFE names, which no web client knows; who calls is what is tested.
        .tls_danger_accept_invalid_certs(true)
        .http2_prior_knowledge()
        .build()
        .unwrap()
}
