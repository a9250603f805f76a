package secrets

import (
	"slices"
	"strings"
	"testing"
)

// TestRules tells secrets from what looks like them, for each rule: the path, contents that are
// secret, contents that are not.
func TestRules(t *testing.T) {
	t.Parallel()
	const hash = "$6$c2FsdA$aGFzaGhhc2g"
	const wgKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	yes := func(contents ...string) []string { return contents }
	no := func(contents ...string) []string { return append(contents, "", "\n") }
	used := make(map[*rule]bool)
	for _, test := range []struct {
		path    string
		yes, no []string
	}{
		{"etc/ssh/ssh_host_ed25519_key", yes("x"), no()},
		{"etc/ssl/private/web.key", yes("x"), no()},
		{"etc/letsencrypt/archive/a.org/privkey1.pem", yes("x"), no()},
		{"etc/munge/munge.key", yes("x"), no()},
		{"etc/krb5.keytab", yes("\x05\x02\x00\x00\x00\x30"), no("\x05\x02", "no keytab")},
		{"srv/www/http.keytab", yes("\x05\x01\x00\x00\x00\x30"), no("\x05\x02", "no keytab")},
		{"etc/wireguard/wg0.conf", yes("[Interface]\nPrivateKey = " + wgKey + "\n[Peer]\n"),
			no("[Interface]\n#PrivateKey = x\nPrivateKey =\n[Peer]\nPublicKey = " + wgKey)},
		{"etc/wireguard/privatekey", yes(wgKey+"\n", wgKey), no("none\n")},
		{"etc/systemd/network/wg0.netdev", yes("[WireGuard]\nPrivateKey=" + wgKey),
			no("[WireGuard]\nPrivateKeyFile=/run/key\n")},
		{"etc/ipsec.secrets", yes("10.0.0.1 : PSK \"secret\"\n", ": EAP secret\n"),
			no("# : PSK \"x\"\ninclude /var/lib/a\n", ": RSA key.pem\n")},
		{"etc/credstore/mysql", yes("x"), no()},
		{"var/lib/systemd/credential.secret", yes("x"), no()},

		{"etc/NetworkManager/system-connections/lab.nmconnection",
			yes("[wifi-security]\nkey-mgmt=wpa-psk\npsk=secret\n", "[802-1x]\npassword=secret\n",
				"[802-1x]\nprivate-key-password=a\n", "[wifi-security]\nwep-key0=abcde\n",
				"[wireguard]\nprivate-key="+wgKey+"\n", "[vpn]\nuser=a\n\n[vpn-secrets]\nXauth password=a\n",
				"[gsm]\npin=1234\n"),
			no("[connection]\nid=a\ntype=ethernet\n", "[wifi-security]\npsk-flags=1\npsk=\n", "#psk=secret\n",
				"[802-1x]\nprivate-key=/etc/ssl/a.pem\n",
				"[vpn]\npassword-flags=1\n[vpn-secrets]\n\n[ipv4]\nmethod=auto\n")},
		{"usr/lib/NetworkManager/system-connections/a.nmconnection", yes("psk=secret"), no("id=a")},
		{"etc/netplan/01-wifi.yaml",
			yes("network:\n  wifis:\n    wlan0:\n      access-points:\n        \"lab\":\n          password: \"secret\"\n"),
			no("network:\n  version: 2\n  renderer: NetworkManager\n", "  password: \"\"\n", "# password: x\n")},
		{"etc/network/interfaces",
			yes("iface wlan0 inet dhcp\n\twpa-ssid lab\n\twpa-psk secret\n",
				"wireless-key1 s:abc\n"), no("iface eth0 inet dhcp\n# wpa-psk secret\n", "wpa-ssid a\n")},
		{"etc/network/interfaces.d/wlan0", yes("  wpa-password x"), no("auto eth0")},
		{"etc/wpa_supplicant.conf", yes("network={\n\tssid=\"a\"\n\tpsk=\"secret\"\n}\n"),
			no("network={\n\tssid=\"a\"\n\tkey_mgmt=NONE\n\t#psk=\"x\"\n}\n")},
		{"etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
			yes("\tpassword=hash:31d6\n", "wep_key0=abcde", "private_key_passwd=\"a\""), no("ctrl_interface=/run/x\n",
				"private_key=\"/etc/a.pem\"\n")},
		{"etc/hostapd/hostapd.conf", yes("wpa=2\nwpa_passphrase=secret\n"),
			no("#wpa_passphrase=secret passphrase\nssid=test\n", "wpa_psk_file=/etc/hostapd.wpa_psk\n")},
		{"etc/hostapd.conf", yes("wpa_psk=0123\n", "auth_server_shared_secret=a"), no("ssid=test\n")},
		{"var/lib/iwd/lab.psk", yes("[Security]\nPreSharedKey=0a0b\n", "Passphrase=secret\n"),
			no("[Settings]\nAutoConnect=true\n")},
		{"var/lib/iwd/eduroam.8021x", yes("[Security]\nEAP-PEAP-Phase2-Password=secret\n"),
			no("[Security]\nEAP-Method=PEAP\n")},
		{"var/lib/connman/lab.config", yes("[service_a]\nPassphrase = secret\n"), no("[service_a]\nType = wifi\n")},
		{"var/lib/connman/wifi_0011_managed_psk/settings", yes("Passphrase=secret\n"), no("Name=lab\n")},
		{"etc/ppp/chap-secrets", yes("user * secret *\n", "\"user\" * \"secret\" *\n"),
			no("# client server secret IP\n", "*\thostname\t\"\"\t*\nguest\thostname\t\"*\"\t-\n")},

		{"etc/shadow.bak", yes("root:"+hash+":1::::\n", "root:!"+hash+":1\n", "a:aBcDeFgHiJkLm:1\n"),
			no("root:*:1:::\na:!:1\nb:!*:1\n", "no shadow")},
		{"var/backups/gshadow.bak", yes("staff:" + hash + "::\n"), no("staff:!::\n")},
		{"etc/passwd.old", yes("a:" + hash + ":1:1::/:/bin/sh\n"), no("root:x:0:0:root:/root:/bin/sh\n")},
		{"etc/nginx/.htpasswd", yes("a:$apr1$abc$def\n"), no("#a\n")},
		{"etc/security/opasswd.tmp", yes("a:1000:1:" + hash + "\n"), no("a:1000:0:\n")},
		{"var/cache/debconf/passwords.dat", yes("Name: mysql/root_password\nTemplate: a\nValue: secret\n"),
			no("Name: a/password\nTemplate: a/password\nOwners: a\n", "Value: \n")},
		{"etc/sssd/sssd.conf", yes("[domain/a]\nldap_default_authtok = secret\n"),
			no("[sssd]\nservices = nss\nldap_default_authtok_type = password\n")},
		{"etc/sssd/conf.d/a.conf", yes("ldap_default_authtok=secret\n"), no("[sssd]\n")},
		{"var/lib/sss/secrets/.secrets.mkey", yes("x"), no()},
		{"etc/ldap.secret", yes("x"), no()},
		{"etc/libnss-ldap.secret", yes("x"), no()},
		{"etc/pam_ldap.secret", yes("x"), no()},
		{"etc/nslcd.conf", yes("uri ldap://a\nbindpw secret\n"), no("uri ldap://a\n#bindpw secret\n")},
		{"etc/pam_ldap.conf", yes("bindpw secret\n"), no("#bindpw secret\nbindpw\n")},
		{"etc/ldap/ldap.conf", yes("BINDPW secret\n"), no("BASE dc=a\n")},
		{"var/lib/samba/private/secrets.tdb", yes("x"), no()},
		{"root/.smbcredentials", yes("username=a\npassword=b\n"), no("username=a\npassword=\n")},
		{"etc/samba/credentials", yes("password = b\n"), no("username=a\n")},
		{"etc/cifs.conf", yes("password=b\n"), no("username=a\n")},
		{"etc/fstab", yes("//s/a /a cifs user=a,password=b 0 0\n"),
			no("UUID=a / ext4 defaults 0 1\n", "# //s/a /a cifs password=b\n", "//s/a /a cifs credentials=/root/c\n")},
		{"etc/davfs2/secrets", yes("https://a.org user secret\n", "/mnt user \"a b\"\n"),
			no("# /home/otto/foo otto g3H\"x\n", "proxy a\n")},
		{"etc/cups/printers.conf", yes("DeviceURI smb://user:secret@host/p\n"),
			no("DeviceURI ipp://host:631/p\n", "#DeviceURI smb://a:b@c/d\n")},
		{"etc/mysql/debian.cnf", yes("[client]\nuser = a\npassword = b\n"),
			no("[client]\npassword =\n# password = x\n")},
		{"etc/mysql/conf.d/a.cnf", yes("password=b\n"), no("[mysql]\n")},
		{"root/.my.cnf", yes("[client]\npassword=\"b\"\n"), no("[client]\npassword=\"\"\n")},
		{"root/.mylogin.cnf", yes("x"), no()},
		{"root/.pgpass", yes("localhost:5432:*:me:secret\n", "#c\n*:*:*:a\\:b:secret"),
			no("#localhost:5432:*:me:secret\n", "localhost:5432:*:me:\n", "a:b\n")},

		{"etc/apt/auth.conf", yes("machine a.org login b password c\n"), no("# machine a login b password c\n")},
		{"etc/apt/auth.conf.d/a.conf", yes("machine a\nlogin b\npassword c\n"), no("machine a login b\n")},
		{"etc/apt/sources.list", yes("deb https://user:secret@a.org/ stable main\n"),
			no("deb http://deb.debian.org/debian bookworm main\n", "#deb https://a:b@c/ d\n",
				"deb http://a:8080/x@y z\n")},
		{"etc/apt/sources.list.d/a.sources", yes("URIs: https://user:secret@a.org/\n"), no("URIs: https://a.org/\n")},
		{"etc/apt/apt.conf.d/01proxy", yes("Acquire::http::Proxy \"http://user:secret@proxy:3128\";\n"),
			no("Acquire::http::Proxy \"http://proxy:3128\";\n")},
		{"home/a/.netrc", yes("machine a login b password c\n", "default login a\n\tpassword b\n"),
			no("# machine a login b password c\n", "machine a login b\n")},
		{"root/.authinfo", yes("machine a login b password c\n"), no("machine a\n")},
		{"root/.git-credentials", yes("https://user:secret@github.com\n"), no("https://user@github.com\n")},
		{"root/.config/git/credentials", yes("https://user:secret@github.com\n"), no("https://github.com\n")},
		{"root/.config/gh/hosts.yml", yes("github.com:\n    oauth_token: gho_x\n"), no("github.com:\n    user: a\n")},
		{"root/.npmrc", yes("//npm.example.org/:_authToken=npm_x\n", "_auth = YTpi\n"),
			no("registry=https://a.org/\n", "#_auth=a\n")},
		{"root/.pypirc", yes("[pypi]\nusername = __token__\npassword = pypi-x\n"), no("[pypi]\nusername = a\n")},
		{"root/.vnc/passwd", yes("\xdb\xd8"), no()},

		{"root/.aws/credentials", yes("[default]\naws_access_key_id = A\naws_secret_access_key = b\n"),
			no("[default]\n#aws_secret_access_key = b\naws_secret_access_key =\n")},
		{"root/.aws/config", yes("aws_session_token=b\n"), no("[default]\nregion = eu-west-1\n")},
		{"root/.aws/sso/cache/a.json", yes(`{"accessToken": "a"}`), no(`{"startUrl": "a"}`)},
		{"root/.boto", yes("gs_secret_access_key = a\n", "aws_secret_access_key = a\n"), no("[Boto]\n")},
		{"root/.s3cfg", yes("secret_key = a\n"), no("secret_key = \n")},
		{"root/.config/gcloud/application_default_credentials.json", yes(`{"client_id": "a", "refresh_token": "b"}`),
			no("{}", `{"refresh_token": ""}`)},
		{"root/.config/gcloud/legacy_credentials/a@b.org/adc.json", yes(`{"refresh_token":"b"}`), no("{}")},
		{"root/.config/gcloud/credentials.db", yes("SQLite format 3\x00"), no()},
		{"root/.config/gcloud/access_tokens.db", yes("SQLite format 3\x00"), no()},
		{"root/.azure/msal_token_cache.json", yes(`{"AccessToken": {"a": {}}}`), no("{}")},
		{"root/.azure/accessTokens.json", yes(`[{"accessToken": "a"}]`), no("[]")},
		{"root/.azure/service_principal_entries.bin", yes("\x01\x02"), no("[]\n")},
		{"root/.config/openstack/clouds.yaml", yes("clouds:\n  a:\n    auth:\n      password: b\n"),
			no("clouds:\n  a:\n    region_name: b\n")},
		{"etc/openstack/secure.yaml", yes("      application_credential_secret: b\n"), no("clouds:\n")},
		{"root/.config/rclone/rclone.conf", yes("[a]\ntype = sftp\npass = b\n", "token = {\"access_token\":\"a\"}\n"),
			no("[a]\ntype = local\n")},
		{"root/.docker/config.json",
			yes(`{"auths": {"a.org": {"auth": "dXNlcjpwYXNz"}}}`,
				`{"auths":{"a":{"identitytoken":"b"}}}`), no(`{"auths": {}}`,
				`{"auths": {"a.org": {}}, "credsStore": "pass"}`)},
		{"root/.dockercfg", yes(`{"a.org": {"auth": "dXNlcjpwYXNz"}}`), no("{}")},
		{"root/.config/containers/auth.json", yes("{\"auths\": {\"a\": {\n\t\"auth\":\n\"b\"}}}"),
			no("{\"auths\": {}}")},
		{"var/lib/kubelet/config.json", yes(`{"auths":{"a":{"auth":"b"}}}`), no("{}")},
		{"root/.kube/config",
			yes("users:\n- name: a\n  user:\n    token: b\n", "    client-key-data: LS0t\n",
				`{"users":[{"user":{"token":"b"}}]}`, "- password: b\n"),
			no("clusters:\n- cluster:\n    server: https://a\n", "    client-key: /etc/a.pem\n",
				"    token: \"\"\n")},
		{"etc/kubernetes/admin.conf", yes("    client-key-data: LS0t\n"), no("    tokenFile: /a\n")},
		{"etc/rancher/k3s/k3s.yaml", yes("    password: b\n"), no("kind: Config\n")},
		{"root/.vault-token", yes("hvs.x"), no()},
		{"root/.terraform.d/credentials.tfrc.json", yes(`{"credentials": {"a": {"token": "b"}}}`), no("{}")},
	} {
		r := findRule(test.path)
		if r == nil {
			t.Errorf("%s: no rule", test.path)
			continue
		}
		used[r] = true
		check := func(content string, want bool) {
			t.Helper()
			var s Scanner
			s.Reset(test.path)
			s.Write([]byte(content))
			wanted := Finding{}
			if want {
				wanted.What = r.what
			}
			if got, ok := s.Result(); ok != want || got != wanted {
				t.Errorf("%s: %v, %+v in\n%q", test.path, ok, got, content)
			}
		}
		for _, content := range test.yes {
			check(content, true)
			check(strings.ReplaceAll(content, "\n", "\r\n"), true)
		}
		for _, content := range test.no {
			check(content, false)
			check(strings.ReplaceAll(content, "\n", "\r\n"), false)
		}
	}
	for i := range rules {
		if !used[&rules[i]] {
			t.Errorf("no case for %s", rules[i].path)
		}
	}
}

func TestRuleFor(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":                             "",
		"a":                            "",
		".netrc":                       "**/.netrc",
		"home/a/b/c/.netrc":            "**/.netrc",
		"home/a/x.netrc":               "",
		"home/a/.netrc/b":              "",
		".aws/credentials":             "**/.aws/credentials",
		"aws/credentials":              "",
		"x.aws/credentials":            "",
		"etc/ssl/private/a":            "etc/ssl/private/*",
		"etc/ssl/private/a/b":          "",
		"srv/etc/ssl/private/a":        "",
		"etc/ssl/private":              "",
		"etc/ssh/ssh_host_rsa_key":     "etc/ssh/ssh_host_*_key",
		"etc/ssh/ssh_host_rsa_key.pub": "",
		"etc/shadow":                   "",
		"etc/shadow-":                  "",
		"etc/shadow.1":                 "**/*shadow*",
	} {
		got := ""
		if r := findRule(path); r != nil {
			got = r.path
		}
		if got != want {
			t.Errorf("%q: the rule is %q, not %q", path, got, want)
		}
	}
	var patterns []string
	for _, r := range rules {
		patterns = append(patterns, r.path)
	}
	slices.Sort(patterns)
	if len(slices.Compact(patterns)) != len(rules) {
		t.Error("two rules have the same path")
	}
}
