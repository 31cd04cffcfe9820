# The supervisor of `sandbox up`: make a wrapped login for the gate or the custodian, and nothing else.
path "auth/approle/role/gate/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "10s"
  max_wrapping_ttl = "120s"
}
path "auth/approle/role/custodian/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "10s"
  max_wrapping_ttl = "120s"
}
path "auth/token/revoke-self" { capabilities = ["update"] }
