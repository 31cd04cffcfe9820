# A person: show who one is, keep or end one's own login, change one's own password.
path "identity/oidc/token/sandbox" { capabilities = ["read"] }
path "auth/token/lookup-self"      { capabilities = ["read"] }
path "auth/token/renew-self"       { capabilities = ["update"] }
path "auth/token/revoke-self"      { capabilities = ["update"] }
path "auth/userpass/users/{{identity.entity.name}}/password" {
  capabilities        = ["update"]
  required_parameters = ["password"]
  allowed_parameters  = { "password" = [] }
}
