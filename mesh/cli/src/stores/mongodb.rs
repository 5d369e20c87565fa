//! Users of MongoDB, as a script for `mongosh`: a service reads and writes the database of its name. It may run again and again.

use super::readers;
use crate::services::Description;

/// Where it is in the checkout.
pub const FILE: &str = "stores/mongodb.js";

/// Returns the script.
pub fn users(descriptions: &[Description]) -> String {
    let users = readers(descriptions, "MONGODB_URL").fold(String::new(), |users, service| {
        let name = &service.name;
        users + &format!("  [\"{name}\", \"${{secret.mongodb-{name}}}\"],\n")
    });
    format!(
        "// Written by `cargo mesh generate`; mongosh runs it as an administrator.\nconst users = [\n{users}];\n\
         const admin = db.getSiblingDB(\"admin\");\n\
         for (const [name, pwd] of users) {{\n  \
           const rights = {{ pwd, roles: [{{ role: \"readWrite\", db: name }}] }};\n  \
           if (admin.getUser(name)) {{\n    admin.updateUser(name, rights);\n  }} else {{\n    \
             admin.createUser({{ user: name, ...rights }});\n  }}\n}}\n"
    )
}
