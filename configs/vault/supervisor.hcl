# The supervisor of `sandbox up`: make a wrapped login for the gate or the custodian.
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
# Without these nobody could ever mend a policy again; they open nothing without the recovery shares.
path "sys/generate-root-token/attempt" { capabilities = ["create", "read", "update", "delete"] }
path "sys/generate-root-token/update"  { capabilities = ["create", "update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
# A backup: ciphertext under the seal key, which is kept apart.
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
