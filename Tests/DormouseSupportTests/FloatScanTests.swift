import DormouseSupport
import Testing

/// Places in rows of numbers of any length, whole vectors and the rest.
@Suite struct FloatScanTests {
  private static let counts = [1, 2, 15, 16, 17, 31, 32, 33, 100]

  @Test(arguments: counts) func findsTheGreatest(count: Int) {
    for place in 0..<count {
      var numbers = (0..<count).map { -Float($0 % 7) - 1 }
      numbers[place] = -0.5
      #expect(greatest(numbers) == place)
      // Of two the first.
      numbers[count - 1] = -0.5
      #expect(greatest(numbers) == place)
    }
  }

  @Test(arguments: counts) func infinitiesHaveTheirPlace(count: Int) {
    var numbers = [Float](repeating: -.infinity, count: count)
    #expect(greatest(numbers) == 0)
    numbers[count - 1] = -Float.greatestFiniteMagnitude
    #expect(greatest(numbers) == count - 1)
    numbers[count / 2] = .infinity
    #expect(greatest(numbers) == count / 2)
  }

  @Test func nothingHasNoPlace() {
    #expect(greatest([]) == 0)
    #expect(notFinite([]) == nil)
  }

  @Test(arguments: counts, [Float.nan, -.nan, .signalingNaN, .infinity, -.infinity])
  func findsTheFirstThatIsNotFinite(count: Int, odd: Float) {
    var numbers = [Float](repeating: .greatestFiniteMagnitude, count: count)
    #expect(notFinite(numbers) == nil)
    for place in (0..<count).reversed() {
      numbers[place] = odd
      #expect(notFinite(numbers) == place)
    }
  }

  private func greatest(_ numbers: [Float]) -> Int { numbers.withUnsafeBufferPointer(indexOfGreatest) }
  private func notFinite(_ numbers: [Float]) -> Int? { numbers.withUnsafeBufferPointer(firstNotFinite) }
}
