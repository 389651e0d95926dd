#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// An IPv4 or IPv6 address. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the same address.
public struct IPAddress: Hashable, Sendable {
    // Two halves, not one UInt128: Swift 6.3.1 corrupts asynchronous calls that have one among their arguments.
    private let high: UInt64
    private let low: UInt64

    /// As IPv6; IPv4 addresses stand under `::ffff:0:0/96`.
    fileprivate var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }

    private static let mappedIPv4 = UInt128(0xFFFF_0000_0000)

    fileprivate init(bits: UInt128) {
        high = UInt64(truncatingIfNeeded: bits >> 64)
        low = UInt64(truncatingIfNeeded: bits)
    }

    /// Reads `192.0.2.1` or `2001:db8::1`; nil for anything else, names, ports and zones (`%eth0`) included.
    public init?(_ text: some StringProtocol) {
        let text = String(text)
        guard !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(bits: Self.mappedIPv4 | UInt128(UInt32(bigEndian: four.s_addr)))
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(bits: withUnsafeBytes(of: six) { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) })
        } else {
            return nil
        }
    }

    /// From 4 or 16 bytes, the highest first; nil for any other number of them.
    public init?(networkBytes: some Collection<UInt8>) {
        guard networkBytes.count == 4 || networkBytes.count == 16 else { return nil }
        let bits = networkBytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        self.init(bits: networkBytes.count == 4 ? Self.mappedIPv4 | bits : bits)
    }

    /// Appends 4 bytes for an IPv4 address, otherwise 16, the highest first.
    public func writeNetworkBytes(to bytes: inout [UInt8]) {
        if isIPv4 {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: low).bigEndian) { bytes.append(contentsOf: $0) }
        } else {
            withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
        }
    }

    public var isIPv4: Bool { bits >> 32 == Self.mappedIPv4 >> 32 }

    /// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits. Limits count by it.
    public var network: IPRange { IPRange(self, prefixLength: isIPv4 ? 32 : 64) }
}

extension IPAddress: CustomStringConvertible {
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        if isIPv4 {
            var four = in_addr(s_addr: UInt32(truncatingIfNeeded: bits).bigEndian)
            inet_ntop(AF_INET, &four, &text, socklen_t(text.count))
        } else {
            var six = in6_addr()
            withUnsafeMutableBytes(of: &six) { $0.storeBytes(of: bits.bigEndian, as: UInt128.self) }
            inet_ntop(AF_INET6, &six, &text, socklen_t(text.count))
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// The addresses that share a prefix, in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`, or one address.
public struct IPRange: Hashable, Sendable {
    private let first: IPAddress
    /// Of the 128 bits.
    private let length: Int

    /// - Parameter prefixLength: 0...32 for an IPv4 address, 0...128 for IPv6. Bits of `address` behind it are dropped.
    public init(_ address: IPAddress, prefixLength: Int) {
        length = address.isIPv4 ? prefixLength + 96 : prefixLength
        precondition((0...128).contains(length), "a prefix of \(prefixLength) bits")
        first = IPAddress(bits: address.bits & Self.mask(length))
    }

    /// Reads `10.0.0.0/8`, or one address; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        let longest = address.isIPv4 ? 32 : 128
        guard parts.count == 2 else {
            self.init(address, prefixLength: longest)
            return
        }
        guard let prefixLength = Int(parts[1]), (0...longest).contains(prefixLength) else { return nil }
        self.init(address, prefixLength: prefixLength)
    }

    public func contains(_ address: IPAddress) -> Bool { address.bits & Self.mask(length) == first.bits }

    private static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : UInt128.max << UInt128(128 - length) }
}

extension IPRange: CustomStringConvertible {
    /// `192.0.2.1` for a single address, otherwise CIDR notation.
    public var description: String {
        length == 128 ? first.description : "\(first)/\(first.isIPv4 && length >= 96 ? length - 96 : length)"
    }
}
