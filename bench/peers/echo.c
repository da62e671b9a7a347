/* One connection on descriptor 0, echoed until its end: what a classic inetd service is. */
#include <unistd.h>

int main(void)
{
    char buffer[65536];
    ssize_t got, put, done;

    while ((got = read(0, buffer, sizeof buffer)) > 0)
        for (done = 0; done < got; done += put)
            if ((put = write(0, buffer + done, got - done)) < 0)
                return 1;
    return got < 0;
}
