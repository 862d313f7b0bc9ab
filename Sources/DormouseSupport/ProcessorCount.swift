internal import CPlatform
import Glibc

/// How many processors this process may really use: its affinity mask, and the quota of its control groups.
enum ProcessorCount {
  /// At least 1.
  static func available() -> Int {
    let affinity = max(1, Int(platform_affinity_count()))
    let quota = quota(membership: readText("/proc/self/cgroup") ?? "", root: "/sys/fs/cgroup")
    return max(1, min(affinity, quota ?? affinity))
  }

  /// The tightest processor quota, rounded up, of the groups that `membership` (the text of `/proc/self/cgroup`) names
  /// and all groups above them; nil without a quota.
  ///
  /// A line is `hierarchy:controllers:path`; version 2 has the hierarchy 0 and no controllers. Inside a container the
  /// path may not exist below `root`; the root of the hierarchy then counts alone.
  static func quota(membership: String, root: String) -> Int? {
    var tightest: Int?
    for line in membership.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let isVersion2 = fields[0] == "0" && fields[1].isEmpty
      guard isVersion2 || fields[1].split(separator: ",").contains("cpu") else { continue }
      let hierarchy = isVersion2 ? root : "\(root)/cpu"
      for group in groups(upFrom: fields[2]) {
        let found = isVersion2 ? version2Quota(hierarchy + group) : version1Quota(hierarchy + group)
        if let found { tightest = min(tightest ?? found, found) }
      }
    }
    return tightest
  }

  /// "/a/b" -> "/a/b", "/a", "".
  private static func groups(upFrom path: Substring) -> [String] {
    var parts = path.split(separator: "/").prefix(64)
    var result: [String] = []
    while !parts.isEmpty {
      result.append("/" + parts.joined(separator: "/"))
      parts.removeLast()
    }
    return result + [""]
  }

  /// `cpu.max` holds `quota period`, or `max period`.
  private static func version2Quota(_ folder: String) -> Int? {
    guard let text = readText(folder + "/cpu.max") else { return nil }
    let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
    guard fields.count == 2, let quota = Int(fields[0]), let period = Int(fields[1]) else { return nil }
    return roundedUp(quota, period)
  }

  /// A quota of -1 means none.
  private static func version1Quota(_ folder: String) -> Int? {
    guard let quota = readNumber(folder + "/cpu.cfs_quota_us"), let period = readNumber(folder + "/cpu.cfs_period_us")
    else { return nil }
    return roundedUp(quota, period)
  }

  private static func roundedUp(_ quota: Int, _ period: Int) -> Int? {
    guard quota > 0, period > 0 else { return nil }
    return CheckedSize.ceilingQuotient(quota, period)
  }

  private static func readNumber(_ path: String) -> Int? {
    readText(path)?.split(separator: "\n").first.flatMap { Int($0) }
  }

  /// The first 64 KiB of a file of the system; such files claim a size of 0, so `File` does not fit.
  private static func readText(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      filled += count
    }
    return String(decoding: bytes[..<filled], as: UTF8.self)
  }
}
