import Glibc
import Postgres
import Store

/// How busy this machine is.
public struct HostLoad: Sendable {
    /// The machine's name, or the container's.
    public let name: String
    /// The load average over one minute, divided by the number of processors.
    public let load: Double
    /// Those that are online.
    public let processors: Int

    /// The load at this moment; nil if the kernel does not say.
    public static func current() -> HostLoad? {
        var average = 0.0
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        guard getloadavg(&average, 1) == 1, processors > 0 else { return nil }
        return HostLoad(name: hostName, load: average / Double(processors), processors: processors)
    }

    /// The statement that stores it as the host's newest.
    public var storing: BoundStatement { UsageStore.storingLoad(load, processors: processors, ofHost: name) }

    /// This machine's name, or the container's; `unknown` if the kernel does not say.
    public static let hostName: String = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()
}
