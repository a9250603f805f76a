package secrets

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A rule says that the file at a path is a secret if its content is.
type rule struct {
	path   string // for path.Match; after "**/", from any folder
	what   string
	secret func(content []byte) bool
}

// findRule returns the first rule for the file at name; nil if there is none.
func findRule(name string) *rule {
	if name == "" || redactions[name] != nil {
		return nil
	}
	depth := strings.Count(name, "/")
	for i := range rules {
		if rules[i].covers(name, depth) {
			return &rules[i]
		}
	}
	return nil
}

func (r *rule) covers(name string, depth int) bool {
	pattern, anywhere := strings.CutPrefix(r.path, "**/")
	if last := pattern[len(pattern)-1]; last != '*' && last != name[len(name)-1] {
		return false // most names fail here, and there are as many names as files
	}
	extra := depth - strings.Count(pattern, "/")
	if extra > 0 && !anywhere {
		return false
	}
	for range extra {
		_, name, _ = strings.Cut(name, "/")
	}
	match, _ := path.Match(pattern, name)
	return match
}

var rules = []rule{
	// The machine's and its services' own keys, in whatever format.
	{"etc/ssh/ssh_host_*_key", "SSH host key", isFilled},
	{"etc/ssl/private/*", "private key", isFilled},
	{"etc/letsencrypt/archive/*/privkey*.pem", "private key", isFilled},
	{"etc/munge/munge.key", "MUNGE key", isFilled},
	{"etc/krb5.keytab", "Kerberos keytab", keytab},
	{"**/*.keytab", "Kerberos keytab", keytab},
	{"etc/wireguard/*", "WireGuard key",
		anyOf(assignKey("PrivateKey|PresharedKey"), matchRegexp(`\A[A-Za-z0-9+/]{43}=\s*\z`))},
	{"etc/systemd/network/*.netdev", "WireGuard key", assignKey("PrivateKey|PresharedKey")},
	{"etc/ipsec.secrets", "IPsec secret", matchRegexp(`(?mi)^[^#\n]*:\s*(PSK|EAP|XAUTH|PIN|NTLM)\s+\S`)},
	{"etc/credstore/*", "systemd credential", isFilled},
	{"var/lib/systemd/credential.secret", "key of systemd's credentials", isFilled},

	// Networks.
	{"etc/NetworkManager/system-connections/*", "NetworkManager connection with a secret", networkManager},
	{"usr/lib/NetworkManager/system-connections/*", "NetworkManager connection with a secret", networkManager},
	{"etc/netplan/*", "network password", assignKey(`psk|password|client-key-password`)},
	{"etc/network/interfaces", "wireless password", interfaces},
	{"etc/network/interfaces.d/*", "wireless password", interfaces},
	{"etc/wpa_supplicant*.conf", "wireless password", wireless},
	{"etc/wpa_supplicant/*", "wireless password", wireless},
	{"etc/hostapd/*", "wireless password", wireless},
	{"etc/hostapd.conf", "wireless password", wireless},
	{"var/lib/iwd/*", "wireless password",
		assignKey(`Passphrase|PreSharedKey|SAE-PT-Group\d+|[\w-]*Password|[\w-]*Passphrase`)},
	{"var/lib/connman/*.config", "wireless password", assignKey(`Passphrase|PrivateKeyPassphrase`)},
	{"var/lib/connman/*/settings", "wireless password", assignKey(`Passphrase|PrivateKeyPassphrase`)},
	{"etc/ppp/*-secrets", "PPP password", matchRegexp(`(?m)^\s*[^#\s]\S*\s+\S+\s+("[^"*]|[^"*\s])`)},

	// Directories, file servers, databases.
	{"var/cache/debconf/passwords.dat*", "password given to debconf", matchRegexp(`(?m)^Value: \S`)},
	{"etc/sssd/*.conf", "directory password", assignKey("ldap_default_authtok")},
	{"etc/sssd/conf.d/*", "directory password", assignKey("ldap_default_authtok")},
	{"var/lib/sss/secrets/*", "secret kept by SSSD", isFilled},
	{"etc/ldap.secret", "directory password", isFilled},
	{"etc/*-ldap.secret", "directory password", isFilled},
	{"etc/*_ldap.secret", "directory password", isFilled},
	{"etc/nslcd.conf", "directory password", bindPassword},
	{"etc/*ldap.conf", "directory password", bindPassword},
	{"etc/ldap/*.conf", "directory password", bindPassword},
	{"var/lib/samba/private/*.tdb", "Samba password", isFilled},
	{"**/*smbcredentials*", "file server password", assignKey("password")},
	{"etc/samba/*cred*", "file server password", assignKey("password")},
	{"etc/cifs*", "file server password", assignKey("password")},
	{"etc/fstab", "file server password", matchRegexp(`(?m)^[^#\n]*[\s,](pass|password)=[^,\s]`)},
	{"etc/davfs2/secrets", "file server password", matchRegexp(`(?m)^\s*[^#\s]\S*\s+\S+\s+\S`)},
	{"etc/cups/printers.conf", "printer password", urlPassword},
	{"etc/mysql/*.cnf", "database password", assignKey("password")},
	{"etc/mysql/*/*.cnf", "database password", assignKey("password")},
	{"**/.my.cnf", "database password", assignKey("password")},
	{"**/.mylogin.cnf", "database password", isFilled},
	{"**/.pgpass", "database password", matchRegexp(`(?m)^[^#\n]([^:\n]|\\:)*(:([^:\n\\]|\\.)*){3}:[^\r\n]`)},

	// Package archives, web servers, repositories of sources.
	{"etc/apt/auth.conf", "package archive password", loginPassword},
	{"etc/apt/auth.conf.d/*", "package archive password", loginPassword},
	{"etc/apt/sources.list", "package archive password", urlPassword},
	{"etc/apt/sources.list.d/*", "package archive password", urlPassword},
	{"etc/apt/apt.conf.d/*", "proxy password", urlPassword},
	{"**/.netrc", "login password", loginPassword},
	{"**/.authinfo", "login password", loginPassword},
	{"**/.git-credentials", "Git password", urlPassword},
	{"**/git/credentials", "Git password", urlPassword},
	{"**/gh/hosts.yml", "GitHub token", assignKey("oauth_token")},
	{"**/.npmrc", "npm token", matchRegexp(`(?mi)^[^#;\n]*(_auth|_authToken|_password)\s*=\s*\S`)},
	{"**/.pypirc", "PyPI password", assignKey("password")},
	{"**/.vnc/passwd", "VNC password", isFilled},

	// Clouds and containers.
	{"**/.aws/credentials", "AWS credentials", amazon},
	{"**/.aws/config", "AWS credentials", amazon},
	{"**/.aws/*/cache/*.json", "AWS token", haveMember("accessToken|refreshToken|clientSecret|SecretAccessKey")},
	{"**/.boto", "AWS credentials", anyOf(amazon, assignKey("gs_secret_access_key|gs_oauth2_refresh_token"))},
	{"**/.s3cfg", "S3 credentials", assignKey("secret_key|access_token")},
	{"**/gcloud/application_default_credentials.json", "Google Cloud credentials", google},
	{"**/gcloud/legacy_credentials/*/adc.json", "Google Cloud credentials", google},
	{"**/gcloud/credentials.db", "Google Cloud credentials", isFilled},
	{"**/gcloud/access_tokens.db", "Google Cloud token", isFilled},
	{"**/.azure/msal_token_cache.*", "Azure token", notEmptyJSON},
	{"**/.azure/accessTokens.json", "Azure token", notEmptyJSON},
	{"**/.azure/service_principal_entries.*", "Azure credentials", notEmptyJSON},
	{"**/openstack/clouds.yaml", "OpenStack credentials", openstack},
	{"**/openstack/secure.yaml", "OpenStack credentials", openstack},
	{"**/rclone/rclone.conf", "rclone credentials",
		assignKey(`[\w-]*pass|pass2|password|token|secret_access_key|client_secret`)},
	{"**/.docker/config.json", "container registry password", registry},
	{"**/.dockercfg", "container registry password", registry},
	{"**/containers/auth.json", "container registry password", registry},
	{"var/lib/kubelet/config.json", "container registry password", registry},
	{"**/.kube/config", "Kubernetes credentials", kubernetes},
	{"etc/kubernetes/*.conf", "Kubernetes credentials", kubernetes},
	{"etc/rancher/*/*.yaml", "Kubernetes credentials", kubernetes},
	{"**/.vault-token", "Vault token", isFilled},
	{"**/.terraform.d/credentials.tfrc.json", "Terraform token", haveMember("token")},

	// Copies of what Redact takes care of in its place, and other lists of users.
	{"etc/security/opasswd*", "password hash", matchRegexp(`(?m)^[^:\n]*:\d+:\d+:[^:\s]`)},
	{"**/*shadow*", "password hash", hashes},
	{"**/*passwd*", "password hash", hashes},
}

var (
	amazon         = assignKey("aws_secret_access_key|aws_session_token")
	bindPassword   = matchRegexp(`(?mi)^\s*(bindpw|rootpwmodpw|sasl_secret)\s+\S`)
	google         = haveMember("refresh_token|private_key|client_secret")
	hashes         = matchRegexp(`(?m)^[\w.-]+:!*(\$\w+\$[^:\s]+|[./0-9A-Za-z]{13})(:|\r?$)`) // crypt(5)
	interfaces     = matchRegexp(`(?mi)^\s*(wpa-(psk|password|passphrase|wep-key\d|private-key-passwd)|wireless-key\d?)\s+\S`)
	keytab         = matchRegexp(`(?s)\A\x05[\x01\x02].`)
	kubernetes     = anyOf(assignKey(credential), haveMember(credential))
	loginPassword  = matchRegexp(`(?m)^([^#\n]*\s)?password\s+\S`)
	networkManager = anyOf(assignKey(`psk|pin|preshared-key|password-raw|[\w-]*password|wep-key\d`),
		matchRegexp(`(?m)^private-key=(data:|[A-Za-z0-9+/]{43}=)|^\[vpn-secrets\]\s+[^\[\s]`))
	notEmptyJSON = matchRegexp(`[^\s{}\[\]]`)
	openstack    = assignKey("password|application_credential_secret|token")
	registry     = haveMember("auth|password|identitytoken|registrytoken")
	urlPassword  = matchRegexp(`(?m)^[^#\n]*://[^/\s:@]*:[^/\s@]+@`)
	wireless     = assignKey(`psk|wpa_psk|wpa_passphrase|sae_password|password|wep_key\d|private_key2?_passwd|pin|(auth|acct)_server_shared_secret`)
)

// credential matches the keys of the secrets in a kubeconfig.
const credential = "token|id-token|access-token|refresh-token|password|client-secret|client-key-data"

// isFilled reports whether content has anything but white space.
func isFilled(content []byte) bool { return len(bytes.TrimSpace(content)) > 0 }

// matchRegexp returns a function that reports whether the expression matches.
func matchRegexp(expression string) func([]byte) bool {
	compile := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
	return func(content []byte) bool { return compile().Match(content) }
}

// assignKey returns a function that reports whether a line that is not a comment gives a value to
// one of the keys, in any style of INI or YAML.
func assignKey(keys string) func([]byte) bool {
	return matchRegexp(`(?mi)^[ \t"'-]*(` + keys + `)["']?[ \t]*[=:][ \t]*["']?[^\s"'#;]`)
}

// haveMember returns a function that reports whether one of the keys has a string that is not
// empty, in JSON.
func haveMember(keys string) func([]byte) bool {
	return matchRegexp(`"(` + keys + `)"\s*:\s*"[^"]`)
}

// anyOf returns a function that reports whether one of the conditions holds.
func anyOf(conditions ...func([]byte) bool) func([]byte) bool {
	return func(content []byte) bool {
		return slices.ContainsFunc(conditions, func(holds func([]byte) bool) bool { return holds(content) })
	}
}
