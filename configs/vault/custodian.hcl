# The custodian, Party A's hand: makes, wraps under and destroys subjects' keys; never decrypts a voice key.
path "subjects/keys/+" {
  capabilities        = ["create", "update", "delete"]
  required_parameters = ["type", "derived"]
  allowed_parameters  = { "type" = ["aes256-gcm96"], "derived" = [true] }
}
path "subjects/keys/+/config" { # unpinned, exportable=true could be set later
  capabilities       = ["update"]
  allowed_parameters = { "deletion_allowed" = [true], "min_decryption_version" = [] }
}
path "subjects/keys/+/rotate"   { capabilities = ["update"] }
path "subjects/encrypt/+"       { capabilities = ["update"] } # wraps data keys drawn locally
path "subjects/rewrap/+"        { capabilities = ["update"] }
path "subjects/decrypt/index.*" { capabilities = ["update"] } # a dataset's index, never a voice

path "derivatives/keys/+" {
  capabilities        = ["create", "update"]
  required_parameters = ["type", "derived"]
  allowed_parameters  = { "type" = ["aes256-gcm96"], "derived" = [true] }
}

path "kv/data/datasets/+"       { capabilities = ["create", "read", "update"] }
path "kv/data/registers"        { capabilities = ["create", "read", "update"] }
path "kv/data/intake"           { capabilities = ["create", "read"] } # the intake key: made once, never replaced
path "sign/sign/custodian"      { capabilities = ["update"] }
path "sign/keys/custodian"      { capabilities = ["read"] }
path "sign/keys/gate"           { capabilities = ["read"] }
path "sys/policies/acl/run-*"   { capabilities = ["create", "read", "update", "delete"] } # and no other policy
path "auth/token/renew-self"    { capabilities = ["update"] }
path "auth/token/revoke-self"   { capabilities = ["update"] }
path "identity/oidc/introspect" { capabilities = ["update"] }

# People: a login with the policy "person" and no other, and an entity whose name is the person's id.
path "auth/userpass/users/+" {
  capabilities        = ["create", "update"]
  required_parameters = ["password", "token_policies", "token_no_default_policy"]
  allowed_parameters = {
    "password"                = []
    "token_policies"          = ["person"]
    "token_no_default_policy" = [true]
    "token_ttl"               = ["12h"]
    "token_max_ttl"           = ["12h"]
  }
}
path "sys/internal/ui/mounts/auth/userpass" { capabilities = ["read"] } # its accessor
path "sys/internal/ui/mounts/auth/oidc"     { capabilities = ["read"] }
path "auth/oidc/role/person"                { capabilities = ["read"] } # without a right there it shows no accessor
path "identity/entity/name/+" {
  capabilities       = ["create", "read", "update"]
  allowed_parameters = { "disabled" = [] } # above all no "policies"
}
path "identity/entity-alias" {
  capabilities        = ["create", "update"]
  required_parameters = ["name", "canonical_id", "mount_accessor"]
  allowed_parameters  = { "name" = [], "canonical_id" = [], "mount_accessor" = ["${userpass}", "${oidc}"] }
}
path "identity/group/name/oidc-people" { # who may come by the identity provider
  capabilities       = ["read", "update"]
  allowed_parameters = { "member_entity_ids" = [] }
}

# Second factors: made, confirmed and dropped for a person, by the one method; never read back.
path "identity/mfa/login-enforcement/second-factor" { capabilities = ["read"] }
path "identity/mfa/method/totp/admin-generate" {
  capabilities        = ["update"]
  required_parameters = ["method_id", "entity_id"]
  allowed_parameters  = { "method_id" = ["${totp}"], "entity_id" = [] }
}
path "identity/mfa/method/totp/admin-destroy" {
  capabilities        = ["update"]
  required_parameters = ["method_id", "entity_id"]
  allowed_parameters  = { "method_id" = ["${totp}"], "entity_id" = [] }
}
path "identity/group/name/second-factor" {
  capabilities       = ["read", "update"]
  allowed_parameters = { "member_entity_ids" = [] }
}
path "totp/keys/+" {
  capabilities       = ["create", "read", "update", "delete"]
  allowed_parameters = { "url" = [] } # above all no "key" or "generate" of its own choice
}
path "totp/code/+" { capabilities = ["update"] } # tries a code; to read one would be to make it
