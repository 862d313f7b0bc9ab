import DormouseKernels
import DormouseSupport
import Testing

/// Numbers of torch, numpy and ml_dtypes (`Tests/Fixtures/kernels/generate.py`).
@Suite struct GoldenTests {
  private let goldens: JSON

  init() throws {
    let folder = "\(#filePath)".split(separator: "/").dropLast(2).joined(separator: "/")
    goldens = try File.readJSON("/\(folder)/Fixtures/kernels/goldens.json")
  }

  @Test func everyFloat8() throws {
    let expected = try floats(goldens["e4m3"])
    #expect(expected.count == 256)
    try checkConversion(.float8E4M3, (0..<256).map { UInt32($0) }, expected)
  }

  @Test func halfFormats() throws {
    let words = try integers(goldens["words"]).map { UInt32(truncatingIfNeeded: $0) }
    try checkConversion(.float16, words, try floats(goldens["float16"]))
    try checkConversion(.bfloat16, words, try floats(goldens["bfloat16"]))
  }

  /// Each scale is seen as a matrix of one float8 one.
  @Test func everyScale() throws {
    let expected = try floats(goldens["e8m0"])
    #expect(expected.count == 256)
    for kernels in usableKernels {
      for (byte, value) in expected.enumerated() {
        let (one, scale) = ([UInt8(0x38)], [UInt8(truncatingIfNeeded: byte)])
        var y: Float = 0
        one.withUnsafeBytes { one in
          scale.withUnsafeBytes { scale in
            guard let data = one.baseAddress, let grid = scale.baseAddress else { return }
            let scales = BlockScales(storage: .float8E8M0, data: grid, columns: 1, rowBlock: 1, columnBlock: 1)
            let w = WeightMatrix(elementType: .float8E4M3, rows: 1, columns: 1, data: data, scales: scales)
            kernels.dequantize(w, row: 0, into: &y)
          }
        }
        #expect(same(y, value), "\(kernels.instructionSet) \(byte)")
      }
    }
  }

  @Test func products() throws {
    let products = try #require(goldens["products"]?.arrayValue)
    #expect(products.count >= 3)
    for product in products {
      let (rows, columns) = (try integer(product["rows"]), try integer(product["columns"]))
      let weights = try integers(product["weights"]).map { UInt8(truncatingIfNeeded: $0) }
      let isFloat = product["scale_type"] == "float32"
      let numbers = try integers(product["scales"])
      let scales =
        isFloat
        ? numbers.flatMap { n in (0..<4).map { UInt8(truncatingIfNeeded: n >> (8 * $0)) } }
        : numbers.map { UInt8(truncatingIfNeeded: $0) }
      let columnBlock = try integer(product["column_block"])
      let x = try floats(product["x"])
      let expected = try doubles(product["y"])
      for kernels in usableKernels {
        var y = [Float](repeating: 0, count: 3 * rows)
        weights.withUnsafeBytes { weights in
          scales.withUnsafeBytes { scales in
            guard let data = weights.baseAddress, let grid = scales.baseAddress else { return }
            let blocks = BlockScales(
              storage: isFloat ? .float32 : .float8E8M0, data: grid,
              columns: CheckedSize.ceilingQuotient(columns, columnBlock),
              rowBlock: (try? integer(product["row_block"])) ?? 0, columnBlock: columnBlock)
            let w = WeightMatrix(
              elementType: .float8E4M3, rows: rows, columns: columns, data: data, scales: blocks)
            kernels.multiply(w, rows: 0..<rows, x: x, xStride: columns, count: 3, into: &y, yStride: rows)
          }
        }
        let size = expected.map(abs).max() ?? 0
        #expect(y.indices.allSatisfy { isNear(y[$0], expected[$0], magnitude: size) }, "\(kernels.instructionSet)")
      }
    }
  }

  @Test func vectors() throws {
    let x = try floats(goldens["vectors"]?["x"])
    let up = try floats(goldens["vectors"]?["up"])
    for kernels in usableKernels {
      var y = x
      kernels.siluMultiply(gate: &y, up: up, count: x.count)
      try checkVector(y, "silu")
      y = x
      kernels.softmax(&y, count: x.count)
      // The difference to the largest, up to 40, is rounded before it is an exponent.
      try checkVector(y, "softmax", tolerance: 3e-6)
      kernels.rmsNorm(x, weight: up, epsilon: 1e-6, count: x.count, into: &y)
      try checkVector(y, "rms_norm")
    }
  }

  private func checkVector(_ y: [Float], _ name: String, tolerance: Double = 5e-7) throws {
    let expected = try doubles(goldens["vectors"]?[name])
    for i in y.indices {
      #expect(isNear(y[i], expected[i], magnitude: abs(expected[i]), tolerance: tolerance), "\(name) \(i)")
    }
  }

  /// The patterns repeated at every offset within a vector, so that vector and single conversions both see each.
  private func checkConversion(_ type: ElementType, _ patterns: [UInt32], _ expected: [Float]) throws {
    let w = TestMatrix(type, 1, patterns.count, seed: 1)
    for kernels in usableKernels {
      for shift in [0, 1, patterns.count / 2] {
        for i in patterns.indices { w.setBits(patterns[(i + shift) % patterns.count], at: i) }
        var y = [Float](repeating: 0, count: patterns.count)
        kernels.dequantize(w.matrix, row: 0, into: &y)
        for i in patterns.indices {
          #expect(same(y[i], expected[(i + shift) % patterns.count]), "\(kernels.instructionSet) \(type)")
        }
      }
    }
  }

  private func same(_ a: Float, _ b: Float) -> Bool { a.isNaN && b.isNaN || a.bitPattern == b.bitPattern }

  private func integer(_ json: JSON?) throws -> Int { Int(try #require(json?.integerValue)) }
  private func integers(_ json: JSON?) throws -> [Int64] {
    try #require(json?.arrayValue).map { try #require($0.integerValue) }
  }
  private func floats(_ json: JSON?) throws -> [Float] {
    try integers(json).map { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }
  }
  private func doubles(_ json: JSON?) throws -> [Double] {
    try #require(json?.arrayValue).map { try #require($0.doubleValue) }
  }
}
