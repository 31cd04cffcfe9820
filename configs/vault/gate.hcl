# The gate: mint under run-*, have artifact keys wrapped (never plain), prove credentials dead, sign, read heads.
path "auth/token/create/run" {
  capabilities     = ["update"]
  min_wrapping_ttl = "10s" # makes wrapping compulsory
  max_wrapping_ttl = "120s"
}
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/renew-self"      { capabilities = ["update"] }
path "auth/token/revoke-self"     { capabilities = ["update"] }

path "derivatives/datakey/plaintext/+" {
  capabilities     = ["update"]
  min_wrapping_ttl = "10s"
  max_wrapping_ttl = "120s"
}
path "derivatives/decrypt/+" {
  capabilities     = ["update"]
  min_wrapping_ttl = "10s"
  max_wrapping_ttl = "120s"
}

path "sys/wrapping/lookup"      { capabilities = ["update"] }
path "sys/audit-hash/main"      { capabilities = ["update"] }
path "identity/oidc/introspect" { capabilities = ["update"] }
path "totp/keys/+"              { capabilities = ["read"] }   # whether somebody has a second factor; no secret
path "totp/code/+"              { capabilities = ["update"] } # tries a code; to read one would be to make it

path "sign/sign/gate"      { capabilities = ["update"] }
path "sign/keys/gate"      { capabilities = ["read"] }
path "sign/keys/custodian" { capabilities = ["read"] }

path "kv/data/datasets/+"  { capabilities = ["read"] }
path "kv/data/registers"   { capabilities = ["read"] }
path "kv/data/budgets/+"   { capabilities = ["create", "read", "update"] }
