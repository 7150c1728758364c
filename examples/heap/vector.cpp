// vector.cpp - a vector for C++ that grows in place: like std::vector for what can be moved byte by
// byte, with the heap's realloc below, where std::vector allocates anew, copies and frees.
//
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstdio>
#include <new>
#include <type_traits>

#include "vas/heap.h"

template <typename T> class growing_vector {
	static_assert(std::is_trivially_copyable<T>::value, "realloc moves bytes");

public:
	growing_vector() = default;
	growing_vector(const growing_vector &) = delete;
	growing_vector &operator=(const growing_vector &) = delete;
	~growing_vector() { vas_heap_free(items); }

	void push_back(const T &item)
	{
		if (count == room) {
			T copy = item; // it may be one of ours
			grow();
			items[count++] = copy;
			return;
		}
		items[count++] = item;
	}

	T &operator[](std::size_t i) { return items[i]; }
	std::size_t size() const { return count; }
	T *begin() { return items; }
	T *end() { return items + count; }

private:
	// Strong guarantee: on failure the vector is as it was.
	void grow()
	{
		std::size_t wanted = room ? room * 2 : 16;
		void *moved = vas_heap_reallocarray(items, wanted, sizeof(T));

		if (!moved)
			throw std::bad_alloc();
		items = static_cast<T *>(moved);
		room = wanted;
	}

	T *items = nullptr;
	std::size_t count = 0, room = 0;
};

int main()
{
	growing_vector<std::uint64_t> numbers;
	std::uint64_t sum = 0;
	struct vas_heap_stats stats;

	for (std::uint64_t i = 0; i < 20000000; i++)
		numbers.push_back(i);
	for (std::uint64_t number : numbers)
		sum += number;
	vas_heap_stats(&stats);
	std::printf("%zu numbers, sum %llu; %llu times grown in place, %llu bytes copied\n",
	            numbers.size(), (unsigned long long)sum, (unsigned long long)stats.grown,
	            (unsigned long long)stats.copied);
	return sum == 199999990000000ull && stats.copied < 1 << 20 ? 0 : 1;
}
