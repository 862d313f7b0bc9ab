import DormouseSupport
import Glibc
import Testing

@testable import DormouseMediaFiles

/// What one file may cost: up to each limit, and no further.
@Suite struct MediaWatchTests {
  private static func watch(_ change: (inout MediaLimits) -> Void) -> MediaWatch {
    var limits = MediaLimits()
    change(&limits)
    return MediaWatch(name: "video", limits: limits)
  }

  private static func status(_ body: () throws(Failure) -> Void) -> Status? {
    do throws(Failure) {
      try body()
      return nil
    } catch { return error.status }
  }

  /// `time_limit` is each call's, whenever the file was opened; `max_output_bytes` is that of all calls together.
  @Test func everyCallHasItsOwnTime() {
    let watch = Self.watch {
      $0.timeLimit = 0.2
      $0.outputLimit = 10
    }
    #expect(!watch.isStopped)
    for _ in 0..<2 {
      watch.begin()
      #expect(!watch.isStopped && Self.status { () throws(Failure) in try watch.check() } == nil)
      #expect(Self.status { () throws(Failure) in try watch.countOutput(5) } == nil)
      usleep(220_000)
      #expect(watch.isStopped && Self.status { () throws(Failure) in try watch.check() } == .timedOut)
    }
    watch.begin()
    #expect(Self.status { () throws(Failure) in try watch.countOutput(1) } == .unsupported)
  }

  @Test func limitsHoldUpToThemselves() {
    let watch = Self.watch {
      $0.pixelLimit = 200
      $0.frameLimit = 8
      $0.secondLimit = 3.5
      $0.outputLimit = 600
    }
    for (width, height, expected) in [
      (20, 10, nil), (200, 1, nil), (1, 200, nil), (201, 1, .unsupported), (1, 201, .unsupported),
      (21, 10, .unsupported), (20, 11, .unsupported), (0, 1, .malformed), (1, 0, .malformed), (-20, -10, .malformed),
      (1 << 31, 1, .malformed),
    ] as [(Int, Int, Status?)] {
      let found = Self.status { () throws(Failure) in try watch.checkSize(width: width, height: height) }
      #expect(found == expected, "\(width) x \(height)")
    }
    #expect(Self.status { () throws(Failure) in try watch.checkFrameCount(8) } == nil)
    #expect(Self.status { () throws(Failure) in try watch.checkFrameCount(9) } == .unsupported)
    #expect(Self.status { () throws(Failure) in try watch.checkDuration(3.5) } == nil)
    #expect(Self.status { () throws(Failure) in try watch.checkDuration(3.5.nextUp) } == .unsupported)
    for (bytes, expected) in [(599, nil), (2, .unsupported), (1, nil), (0, nil), (1, .unsupported)] as [(Int, Status?)]
    {
      #expect(Self.status { () throws(Failure) in try watch.countOutput(bytes) } == expected, "\(bytes)")
    }
  }
}
