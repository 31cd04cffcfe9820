# The embedded OpenBao server; `sandbox up` fills in ports and paths.
ui            = false
api_addr      = "https://127.0.0.1:${port}"
cluster_addr  = "https://127.0.0.1:${cluster_port}"
max_lease_ttl     = "12h"
default_lease_ttl = "1h"
log_level     = "warn"

storage "raft" {
  path    = "${directory}/raft"
  node_id = "one"
}

seal "static" { # 32 random bytes: it unseals itself
  current_key_id = "1"
  current_key    = "file://${directory}/seal/1.key"
}

listener "tcp" { # the only one
  address         = "127.0.0.1:${port}"
  tls_cert_file   = "${directory}/tls/server.pem"
  tls_key_file    = "${directory}/tls/server.key"
  tls_min_version = "tls13"
}

audit "file" "main" { # only here: the API may neither add nor remove it
  options {
    file_path = "${audit_log}"
    mode      = "0640"
  }
}
