/// What inputs are made from: things that the parsers take, and pieces at which parsers stumble.
enum Corpus {
    static let seeds: [[UInt8]] = texts.map { Array($0.utf8) }

    private static let texts: [String] = [
        // Events in the product's own shape, and close to it.
        """
        {"id":"e-1","source":"urn:example:gate","timestamp":1795399199123,"type":"authn_login_fail","severity":"high",\
        "userId":"user_01h455vb4pex5vsknk084sn02q","ip":"203.0.113.7",\
        "metadata":{"details":"Wrong password","context":"third"}}
        """,
        """
        {"type":"authz_fail","severity":"warning","time":"2026-11-23T01:59:59.123456+01:00","ip":"2001:db8::1",\
        "message":"é😀\\u00e9","user":{"name":"alice","groups":["a","b"]},\
        "attempt":-1.5e+3,"ok":true,"none":null}
        """,
        #"{"\u0074ype":"t","id":7,"severity_id":4,"metadata":{"source":"s","context":{"a":[[],{}]},"more":"\ud83d\ude00\n"}}"#,
        #"{"type":"t","occurredAt":"2016-12-31T23:59:60Z","userId":"01890a5d-ac96-774b-bcce-b302099a8057"}"#,
        #"{"type":"t","context":"{\"a\":1}","x":"","timestamp":-1}"#,
        // Arrays and lines.
        #"[{"type":"a"},{"type":"b","id":"1"},{},1,[{"type":"x"}]]"#,
        "[ {\"type\":\"a\"} ,\r\n {\"type\":\"b\"} ] \n",
        "{\"type\":\"a\"}\n{\"type\":\"b\",\"timestamp\":0}\r\n\n[]\n{\"type\":\"c\"}",
        "\u{FEFF}{\"type\":\"a\"}\n",
        // CloudEvents.
        """
        {"specversion":"1.0","id":"A234","source":"https://example.com/gate","type":"authn_login_fail",\
        "time":"2026-11-23T01:59:58Z","subject":"alice","datacontenttype":"application/json","traceparent":"00-1",\
        "data":{"severity":"error","ip":"::1","message":"No","metadata":{"details":"d","context":"c"}}}
        """,
        #"[{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"AAECAw=="},{"specversion":"1.0","data":[1]}]"#,
        // Syslog, RFC 5424 and RFC 3164, and what sends neither.
        #"<34>1 2003-10-11T22:14:15.003Z gate.example.com su - ID47 [ex@1 a="b\]" c="d"] \#u{FEFF}'su root' failed for lonvick"#,
        "<165>1 - - - - - - -",
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        "<86>Nov 23 02:00:01 gate sshd[4242]: Failed password for invalid user admin from 203.0.113.7 port 51234 ssh2",
        "<86>Nov  3 02:00:01 gate sshd[4242]: Accepted publickey for alice from 2001:db8::1 port 22 ssh2: ED25519 SHA256:abc",
        "Failed password for a from 1.2.3.4 port 1 ssh2 from 203.0.113.7 port 51234 ssh2",
        "<85>sudo:    alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/ls",
        #"203.0.113.7 - alice [23/Nov/2026:02:00:01 +0000] "GET /admin HTTP/1.1" 403 153 "-" "curl/8.0""#,
        #"2026-11-23 02:00:01.123 UTC [99] alice@attune FATAL:  password authentication failed for user "alice""#,
        #"{"level":"info","ts":1795399199.1,"logger":"http.log.access","request":{"remote_ip":"203.0.113.7"},"status":401}"#,
        "83 <34>1 2003-10-11T22:14:15.003Z host app - - - Two of these in a stream, counted in octets.",
        "<191>", "<0>", "<999>x", "<34>1", "",
    ]

    /// Pieces that are put into inputs.
    static let pieces: [[UInt8]] = hostileBytes + hostileTexts.map { Array($0.utf8) }

    private static let hostileBytes: [[UInt8]] = [
        [0x00], [0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x9F], [0x80],
        [0xEF, 0xBB, 0xBF], [0x7F], [0x1F], [0x0B],
    ]

    private static let hostileTexts: [String] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "\r\n", " ", "\t", "<", ">", "-", "null", "true", "1e999", "-0", "0.1e-7",
        "18446744073709551616", "9223372036854775807", "253402300799999", "-62135596800001", #"\u0000"#, #"\ud800"#, #"\udc00"#,
        #"\ud800\udc00"#, #"\uD83D"#, #"\""#, #"\\"#, #"\x"#, #"\u12"#, #""type":"t","#, #""type":1,"#, #""id":"1","#,
        #""source":"s","#, #""metadata":{"#, #""context":{"a":1},"#, #""context":"{","#, #""specversion":"1.0","#,
        #""specversion":"0.3","#, #""data":{"#, #""data_base64":"AA==","#, #""severity":"high","#, #""severity":3,"#,
        #""timestamp":"#, #""ip":"::ffff:1.2.3.4","#, #""userId":"alice","#, #"{"type":"t"}"#, "9999-12-31T23:59:59.999999Z",
        "0000-01-01T00:00:00Z", "2026-02-29T00:00:00+23:59", "é", "😀", "\u{2028}", "…", "\u{FFFD}", "e\u{301}", "<34>1 ",
        "<13>Feb 29 24:00:00 ", " from 1.2.3.4 port 1 ssh2", "[ex@1 a=\"", "\"]", "sshd[1]: ", "Failed password for ",
        "invalid user ", "%00", "{ip}",
    ]
}
