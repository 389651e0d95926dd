import Domain
import Testing

@Suite("IP addresses")
struct IPAddressTests {
    @Test("are written in their shortest form", arguments: [
        ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("::", "::"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ])
    func canonicalForm(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test("other texts are none", arguments: [
        "", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1:80", "[::1]", "fe80::1%eth0", " 192.0.2.1", "1",
    ])
    func refused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("come back from their bytes: 4, or 16", arguments: [("192.0.2.1", 4), ("2001:db8::1", 16), ("::ffff:192.0.2.1", 4)])
    func networkBytes(text: String, count: Int) throws {
        let address = try #require(IPAddress(text))
        var bytes: [UInt8] = []
        address.writeNetworkBytes(to: &bytes)
        #expect(bytes.count == count)
        #expect(IPAddress(networkBytes: bytes) == address)
        #expect(IPAddress(networkBytes: bytes.dropLast()) == nil)
    }

    @Test("a subscriber's network is one IPv4 address or 64 bits of IPv6")
    func network() throws {
        let four = try #require(IPAddress("192.0.2.1"))
        #expect(four.network.description == "192.0.2.1")
        let six = try #require(IPAddress("2001:db8:1:2:3:4:5:6"))
        #expect(six.network.description == "2001:db8:1:2::/64")
        let neighbour = try #require(IPAddress("2001:db8:1:2:ffff::1"))
        #expect(six.network == neighbour.network)
    }

    @Test("a range contains the addresses with its prefix", arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3/8", "10.9.9.9", true),
        ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "2001:db8::1", true), ("2001:db8::/32", "2001:db9::1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
    ])
    func ranges(range: String, address: String, isInside: Bool) throws {
        let range = try #require(IPRange(range))
        #expect(range.contains(try #require(IPAddress(address))) == isInside)
    }

    @Test("other texts are no range", arguments: ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "/8", "::/129", "10.0.0.0/8/8"])
    func refusedRanges(text: String) {
        #expect(IPRange(text) == nil)
    }
}
