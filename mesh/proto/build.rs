//! Compiles `proto/*.proto` without `protoc`, and writes a marker type for each method.

use std::{error::Error, fmt::Write as _, fs};

use prost_build::{Config, Service, ServiceGenerator};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files: Vec<_> = fs::read_dir("proto")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    let tonic = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false);
    Config::new()
        .service_generator(Box::new(WithMarkers(tonic.service_generator())))
        .compile_fds(descriptors)?;
    Ok(())
}

/// tonic's server code, and for each method a type that implements `Rpc`.
struct WithMarkers(Box<dyn ServiceGenerator>);

impl ServiceGenerator for WithMarkers {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let owner = service
            .package
            .split('.')
            .nth(1)
            .expect("packages are named plaza.<service>.v1")
            .to_owned();
        for method in &service.methods {
            let marker = format!("{}{}", service.name, method.proto_name);
            let doc = format!(
                "The method `{}.{}/{}`.",
                service.package, service.proto_name, method.proto_name
            );
            write!(
                buf,
                r#"
                #[doc = "{doc}"]
                #[derive(Debug, Clone, Copy)]
                pub struct {marker};
                impl crate::Rpc for {marker} {{
                    const SERVICE: &'static str = "{owner}";
                    const PATH: &'static str = "/{package}.{service}/{method}";
                    type Request = {input};
                    type Response = {output};
                }}
                "#,
                package = service.package,
                service = service.proto_name,
                method = method.proto_name,
                input = method.input_type,
                output = method.output_type,
            )
            .expect("writing to a string cannot fail");
        }
        self.0.generate(service, buf);
    }

    fn finalize(&mut self, buf: &mut String) {
        self.0.finalize(buf);
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        self.0.finalize_package(package, buf);
    }
}
