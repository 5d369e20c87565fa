// Written by `cargo mesh generate`; mongosh runs it as an administrator.
const users = [
  ["discussions", "${secret.mongodb-discussions}"],
  ["items", "${secret.mongodb-items}"],
  ["polls", "${secret.mongodb-polls}"],
];
const admin = db.getSiblingDB("admin");
for (const [name, pwd] of users) {
  const rights = { pwd, roles: [{ role: "readWrite", db: name }] };
  if (admin.getUser(name)) {
    admin.updateUser(name, rights);
  } else {
    admin.createUser({ user: name, ...rights });
  }
}
